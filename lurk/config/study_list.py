"""The studies that a server shows, as its `lurk.toml` was last taken in: a list below the cache.

    <cache>/served/<hash of the file's path>.json

`serve` and `reload` write it as a whole; every web process looks at its stamp and reads it anew when it has changed. So
all processes show the same studies, and a file that is broken meanwhile changes nothing.
"""

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from lurk.config.lurk_toml import Config, place
from lurk.config.settings import STUDY_OPTIONS, Settings
from lurk.errors import CacheError, LurkError
from lurk.jobs.lanes import Lane
from lurk.jobs.queue import Queue
from lurk.records import digest
from lurk.storage.atomic_files import write_file

FORMAT = 1
LONGEST_WAIT_S = 30
Studies = Mapping[str, Settings]


@dataclass(frozen=True)
class Listed:
    """A list of studies.

    Args:
        config: The file that it was made of.
        processes: Numbers of the processes of the servers that show it.
        server: What the file said of the server when it was started: a hash of each option's value.
        studies: The studies by name.
    """

    config: Path
    processes: tuple[int, ...]
    server: Mapping[str, str]
    studies: Studies


@dataclass(frozen=True)
class Change:
    """What became of the studies when a list took the place of another.

    Args:
        added: Names of new studies.
        changed: Names of studies with other options than before.
        removed: Names of studies that are gone.
        restart: Options of the server that differ from those that it was started with.
    """

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()


def list_file(cache: Path, config: Path) -> Path:
    """Where the list of a file's studies lies."""
    return cache / "served" / f"{hashlib.sha256(os.fsencode(config)).hexdigest()[:16]}.json"


def take_in(cache: Path, config: Config, queue: Queue, *, process: int | None = None) -> Change:
    """Show the studies of a file from now on: ask for the sweeps of new ones, stop those of removed ones.

    Args:
        cache: The cache directory.
        config: What the file says.
        queue: Where sweeps are asked for.
        process: Number of the server's process where it starts; None while it runs, and its options hold.

    Returns:
        What has changed.

    Raises:
        CacheError: The list cannot be written.
    """
    file = list_file(cache, config.path)
    server = {name: digest(value) for name, value in config.server.items()}
    with _alone(file):
        before = _read(file, cache) or Listed(config.path, (), server, {})
        running = (*(one for one in before.processes if _is_alive(one)), *((process,) if process else ()))
        after = Listed(config.path, running, server if process else before.server, config.by_name())
        _write(file, after)
        _settle(queue, before.studies, after.studies, everything=process is not None)
    return _difference(before.studies, after.studies, before.server, server)


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Hold the list's lock, so that of two who change it one comes after the other."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(file.with_suffix(".lock"), timeout=LONGEST_WAIT_S, mode=0o600):
            yield
    except TimeoutError as error:
        raise CacheError(f"{file} is being changed by another process; try again") from error
    except OSError as error:
        raise CacheError(f"cannot write {file}: {error.strerror}; make room, or choose another --cache") from error


def _difference(before: Studies, after: Studies, started: Mapping[str, str], now: Mapping[str, str]) -> Change:
    return Change(
        tuple(name for name in after if name not in before),
        tuple(name for name, study in after.items() if name in before and _options(study) != _options(before[name])),
        tuple(name for name in before if name not in after),
        tuple(name for name in sorted({*started, *now}) if started.get(name) != now.get(name)),
    )


def _settle(queue: Queue, before: Studies, after: Studies, *, everything: bool) -> None:
    """Stop the sweeps that nothing shows any more, and ask for those that are wanted."""
    wanted = {study.sweep_spec().key: study.sweep_spec() for study in after.values()}
    known = {study.sweep_spec().key for study in before.values()}
    for key in known - set(wanted):
        queue.cancel(key)
    for key, spec in wanted.items():
        if everything or key not in known or queue.get(key) is None:
            queue.submit(spec, Lane.SWEEP, again=True)


def _options(study: Settings) -> dict[str, Any]:
    return {name: getattr(study, name) for name in STUDY_OPTIONS}


def _write(file: Path, listed: Listed) -> None:
    value = {
        "format": FORMAT,
        "config": str(listed.config),
        "processes": list(listed.processes),
        "server": dict(listed.server),
        "studies": [_options(study) for study in listed.studies.values()],
    }
    write_file(file, json.dumps(value), is_synced=True)


def _read(file: Path, cache: Path) -> Listed | None:
    """A list, None where there is none, or one that this version does not know."""
    try:
        value = json.loads(file.read_text())
        if value["format"] != FORMAT:
            return None
        config = Path(value["config"])
        processes = tuple(one for one in value["processes"] if type(one) is int and one > 0)
        studies = [Settings(**options, config=str(config), cache=str(cache)) for options in value["studies"]]
        server = {str(name): str(hashed) for name, hashed in value["server"].items()}
        return Listed(config, processes, server, {study.study: study for study in studies})
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CacheError(f"{file} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, LurkError):
        return None


def lists(cache: Path) -> list[Listed]:
    """All lists below a cache directory."""
    found = [_read(file, cache) for file in sorted((cache / "served").glob("*.json"))]
    return [listed for listed in found if listed is not None]


def is_running(listed: Listed) -> bool:
    """Whether a server that shows a list is there."""
    return any(_is_alive(process) for process in listed.processes)


def _is_alive(process: int) -> bool:
    """Whether a process is there; where the system cannot tell, it is."""
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
    """What a server shows, at any moment: the studies of its file as last taken in, or its one study.

    Args:
        settings: The options of the server.
        cache: The cache directory.

    Returns:
        A function that gives the studies by name; cheap, to be called for each request.
    """
    if settings.config is None:
        one = {settings.study: settings}
        return lambda: one
    return _Live(list_file(cache, place(settings.config)), cache)


class _Live:
    """Reads a list anew when its stamp has changed; what cannot be read leaves the studies as they are."""

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
            listed = _read(self._file, self._cache)
            if listed is not None:
                self._studies, self._stamp = listed.studies, stamp
