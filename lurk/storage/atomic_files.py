"""The only place that writes files and folders atomically: readers see the old one or the new one, whole.

What is written lies beside its target until it is complete. Only its owner may read a file (mode 0600).
"""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

UNFINISHED, ABANDONED_S = ".new-", 3600.0
TRIES = 3


@contextmanager
def replace_file(file: Path, *, is_synced: bool = False, keep_existing: bool = False) -> Iterator[IO[bytes]]:
    """Write a new version of a file; it takes its place when the block ends, and is dropped when the block fails.

    Args:
        file: The file; its folder exists.
        is_synced: Whether the content must be on the disk (fsync) before the file takes its place.
        keep_existing: Whether a file that another process has put there meanwhile stays.

    Yields:
        The new version, open for writing.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}-", dir=file.parent)  # of mode 0600
    new = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as out:
            yield out
            if is_synced:
                out.flush()
                os.fsync(out.fileno())
        if keep_existing:
            with suppress(FileExistsError):
                os.link(new, file)
        else:
            new.replace(file)
    finally:
        new.unlink(missing_ok=True)


def write_file(file: Path, content: bytes | str, *, is_synced: bool = False) -> None:
    """Write a new version of a file as a whole; see `replace_file`."""
    with replace_file(file, is_synced=is_synced) as out:
        out.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def replace_folder(folder: Path, is_complete: Callable[[], bool]) -> Iterator[Path]:
    """Fill a new folder; it takes its place when the block ends, unless another process was faster.

    Args:
        folder: The folder; its parents are made as well.
        is_complete: Whether the folder that is there now is as good as the new one, and stays.

    Yields:
        The new folder, empty.
    """
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _drop_abandoned(folder.parent)
    new = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=folder.parent))
    try:
        yield new
        _put_into_place(new, folder, is_complete)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _put_into_place(new: Path, folder: Path, is_complete: Callable[[], bool]) -> None:
    for _ in range(TRIES):
        try:
            new.rename(folder)
            return
        except OSError:
            if is_complete():
                return
        with (
            tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=folder.parent, ignore_cleanup_errors=True) as aside,
            suppress(OSError),
        ):
            folder.rename(Path(aside) / folder.name)
    new.rename(folder)


def _drop_abandoned(place: Path) -> None:
    """Delete the unfinished folders of processes that were killed."""
    for left in place.glob(f"{UNFINISHED}*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > ABANDONED_S:
                shutil.rmtree(left, ignore_errors=True)
