"""Finding the files that a list names, wherever its author kept them."""

import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property
from itertools import islice, takewhile
from pathlib import Path, PurePosixPath

from lurk.images.image_files import is_candidate

MOST_FOLDERS = 2000
MOST_LEADING = 12
LONGEST = 1000
NEAREST, BELOW = 1, 3
ENOUGH, FEW = 0.5, 0.1


class FileFinder:
    """Finds the files that a list names.

    A path may be absolute or relative to the list's folder, to a folder below it, or to one beside it; it may lack its
    extension, differ in case, have back-slashes, or begin with folders of another machine. How far one has to look is
    settled once for a list, so that a missing file is not replaced by one from elsewhere. Of a path on another machine
    at least the last folder must be here.
    """

    def __init__(self, folder: Path) -> None:
        """Look from a folder on.

        Args:
            folder: The list's folder.
        """
        self.folder = folder
        self._reach = NEAREST
        self._leading: tuple[str, ...] = ()
        self._listings: dict[tuple[int, str], dict[str, list[str]]] = {}

    @cached_property
    def _rings(self) -> list[list[str]]:
        """Folders to which paths may be relative, the nearest first: below the list's folder, then beside it."""
        here = str(self.folder)
        below = _folders_in([here])
        parent, grandparent = str(self.folder.parent), str(self.folder.parent.parent)
        return [[here], below, _folders_in(below), [parent], _folders_in([parent]), _folders_in([grandparent])]

    def settle(self, lines: Iterable[list[str]]) -> str:
        """Choose how far to look: no farther than is needed to find a file in half of the lines.

        Folders beside the list's folder are searched only if next to nothing is below it.

        Args:
            lines: For each line of a sample, the texts that may be its path.

        Returns:
            A note on leading folders that have to be left out; empty if there are none.
        """
        sample = list(lines)
        best = (0, NEAREST, self._leading)
        near, far = range(NEAREST, BELOW + 1), range(BELOW + 1, len(self._rings) + 1)
        beginnings = ((), *_leading_folders(sample))
        for way in ((reach, leading) for reaches in (near, far) for leading in beginnings for reach in reaches):
            self._reach, self._leading = way
            count = sum(any(map(self.find, texts)) for texts in sample)
            best = max(best, (count, *way), key=lambda found: found[0])
            if count >= len(sample) * (ENOUGH if self._reach < BELOW else FEW):
                break
        _, self._reach, self._leading = best
        beginning = "/".join(self._leading).replace("//", "/", 1)
        return f"paths are taken without their beginning, {beginning!r}" if beginning else ""

    def find(self, text: str) -> tuple[str, ...]:
        """Files that a text may name.

        Args:
            text: A path as the list has it.

        Returns:
            The files, as absolute paths; more than one if it cannot be told which is meant.
        """
        parts = PurePosixPath(_plain(text)).parts
        rest = parts[len(self._leading) :]
        is_odd = not text.strip() or "\0" in text or len(text) > LONGEST
        if is_odd or parts[: len(self._leading)] != self._leading or len(rest) < (2 if self._leading else 1):
            return ()
        folder, name = os.path.split("/".join(rest).replace("//", "/", 1))
        if not is_candidate(name):
            return ()
        for ring in range(1 if folder.startswith("/") else self._reach):
            files = self._files(ring, folder)
            exact = [file for file in files.get(name, ()) if file.endswith(f"/{name}")]
            if found := exact or files.get(_key(name)):
                return tuple(sorted(set(found)))
        return ()

    def is_exact(self, text: str) -> bool:
        """Whether a text names one file, with its extension."""
        found = self.find(text)
        return len(found) == 1 and Path(found[0]).name == PurePosixPath(_plain(text)).name

    def _files(self, ring: int, folder: str) -> dict[str, list[str]]:
        """Files in the folders of that name in a ring: by name, and by name and stem whatever the case."""
        if (ring, folder) not in self._listings:
            files: dict[str, list[str]] = defaultdict(list)
            for whole in [os.path.normpath(os.path.join(base, folder)) for base in self._rings[ring]]:  # noqa: PTH118 - as below
                for name in _files_in(whole):
                    for key in {name, _key(name), _key(os.path.splitext(name)[0])}:  # noqa: PTH122 - a path is slow
                        files[key].append(f"{whole}/{name}")
            self._listings[ring, folder] = files
        return self._listings[ring, folder]


def _plain(text: str) -> str:
    """A path with slashes, without `file://` and without `./`."""
    return text.strip().removeprefix("file://").replace("\\", "/").removeprefix("./")


def _leading_folders(sample: list[list[str]]) -> list[tuple[str, ...]]:
    """Beginnings that the texts of a sample with the most folders share, the shortest first."""
    parted = [[(PurePosixPath(_plain(text)).parts, -len(text)) for text in texts] for texts in sample[1:]]
    paths = [max(found, key=lambda path: (len(path[0]), path[1]))[0] for found in parted]
    most = min((len(path) - 2 for path in paths), default=0)
    shared = list(takewhile(lambda parts: len(set(parts)) == 1, zip(*paths, strict=False)))
    return [tuple(parts[0] for parts in shared[:count]) for count in range(1, min(len(shared), most, MOST_LEADING) + 1)]


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _files_in(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if is_candidate(entry.name) and not entry.is_dir()]
    except (OSError, ValueError):
        return []


def _folders_in(folders: list[str]) -> list[str]:
    """The folders in some folders that are not hidden, sorted; none if there are very many."""
    found: list[str] = []
    for folder in folders:
        try:
            with os.scandir(folder) as entries:
                names = (entry.path for entry in entries if entry.is_dir() and not entry.name.startswith("."))
                found += islice(names, MOST_FOLDERS + 1 - len(found))
        except (OSError, ValueError):
            continue
    return sorted(found) if len(found) <= MOST_FOLDERS else []
