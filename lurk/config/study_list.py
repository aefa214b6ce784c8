"""The list of studies that a server shows, on disk, as `serve` or `reload` last read them from its `lurk.toml`.

    <cache>/served/<hash of the path of lurk.toml>.json

Every web process checks the time stamp of the list and reads the list again when it has changed. So all processes show
the same studies, and a mistake in `lurk.toml` changes nothing before somebody runs `reload`.
"""

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from filelock import FileLock

from lurk.config.lurk_toml import absolute_path
from lurk.config.options import STUDY_OPTIONS, Settings
from lurk.errors import CacheError, LurkError
from lurk.storage.atomic_files import write_file

FORMAT = 1
LONGEST_WAIT_S = 30
Studies = Mapping[str, Settings]


@dataclass(frozen=True)
class StudyList:
    """The studies of a `lurk.toml`.

    Args:
        config: Path of the `lurk.toml`.
        processes: Process numbers of the servers that show the studies.
        server: The options of the server when it was started: a hash of each value, by name.
        studies: The options of each study, by name.
    """

    config: Path
    processes: tuple[int, ...]
    server: Mapping[str, str]
    studies: Studies

    @property
    def running(self) -> tuple[int, ...]:
        """Process numbers of the servers that still run."""
        return tuple(process for process in self.processes if _is_alive(process))

    def write(self, file: Path) -> None:
        """Write the list as a whole."""
        value = {
            "format": FORMAT,
            "config": str(self.config),
            "processes": list(self.processes),
            "server": dict(self.server),
            "studies": [study_options(study) for study in self.studies.values()],
        }
        write_file(file, json.dumps(value), is_synced=True)

    @classmethod
    def read(cls, file: Path, cache: Path) -> Self | None:
        """Read a list.

        Args:
            file: Where it lies.
            cache: The cache directory of its studies.

        Returns:
            The list; None if there is none, or it is damaged or of another version.

        Raises:
            CacheError: The file cannot be read.
        """
        try:
            value = json.loads(file.read_text())
            if value["format"] != FORMAT:
                return None
            config = Path(value["config"])
            processes = tuple(one for one in value["processes"] if type(one) is int and one > 0)
            studies = [Settings(**options, config=str(config), cache=str(cache)) for options in value["studies"]]
            server = {str(name): str(hashed) for name, hashed in value["server"].items()}
            return cls(config, processes, server, {study.study: study for study in studies})
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CacheError(f"{file} cannot be read: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AttributeError, LurkError):
            return None


def list_file(cache: Path, config: Path) -> Path:
    """Where the list of the studies of a `lurk.toml` lies."""
    return cache / "served" / f"{hashlib.sha256(os.fsencode(config)).hexdigest()[:16]}.json"


@contextmanager
def lock_list(file: Path) -> Iterator[None]:
    """Hold the lock of a list: two processes that change the list do so one after the other."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(file.with_suffix(".lock"), timeout=LONGEST_WAIT_S, mode=0o600):
            yield
    except TimeoutError as error:
        raise CacheError(f"{file} is being changed by another process; try again") from error
    except OSError as error:
        raise CacheError(f"cannot write {file}: {error.strerror}; make room, or choose another --cache") from error


def study_options(study: Settings) -> dict[str, Any]:
    """The options that a table `[[study]]` may set, with their values."""
    return {name: getattr(study, name) for name in STUDY_OPTIONS}


def read_lists(cache: Path) -> list[StudyList]:
    """Read all lists below a cache directory; those of another version are left out."""
    found = [StudyList.read(file, cache) for file in sorted((cache / "served").glob("*.json"))]
    return [studies for studies in found if studies is not None]


def _is_alive(process: int) -> bool:
    """Whether a process runs; True if the system cannot tell."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def studies_of(settings: Settings, cache: Path) -> Callable[[], Studies]:
    """Give access to the studies that a server shows at any moment: those of its list, or its one study.

    Args:
        settings: The options of the server.
        cache: The cache directory.

    Returns:
        A function that returns the studies by name; cheap enough to call it for each request.
    """
    if settings.config is None:
        one = {settings.study: settings}
        return lambda: one
    return _LiveStudies(list_file(cache, absolute_path(settings.config)), cache)


class _LiveStudies:
    """Reads a list again when its file has changed; a list that cannot be read leaves the studies as they are."""

    def __init__(self, file: Path, cache: Path) -> None:
        self._file, self._cache = file, cache
        self._lock = threading.Lock()
        self._stamp: tuple[int, ...] = ()
        self._studies: Studies = {}

    def __call__(self) -> Studies:
        with suppress(OSError):
            found = self._file.stat()
            stamp = (found.st_ino, found.st_mtime_ns, found.st_size)
            if stamp != self._stamp:
                self._renew(stamp)
        return self._studies

    def _renew(self, stamp: tuple[int, ...]) -> None:
        with self._lock, suppress(LurkError):
            found = StudyList.read(self._file, self._cache)
            if found is not None:
                self._studies, self._stamp = found.studies, stamp
