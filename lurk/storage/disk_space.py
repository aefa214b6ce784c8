"""The space on the cache's disk. If little is left, new work is refused; a reserve lets the queue be written then."""

import os
import shutil
from pathlib import Path

from lurk.errors import DiskFullError
from lurk.storage.atomic_files import write_file

MEGABYTE = 1_000_000
RESERVE, RESERVE_BYTES = "reserve", 8 << 20


class Space:
    """Says whether there is room for new work.

    Args:
        cache: The cache directory.
        floor_bytes: How much must be free.
    """

    def __init__(self, cache: Path, floor_bytes: int = 0) -> None:
        self._cache, self._floor_bytes = cache, floor_bytes

    @property
    def notice(self) -> str:
        """Why new work is refused, in words; empty if it is not."""
        free = free_bytes(self._cache)
        if free is None or free >= self._floor_bytes:
            return ""
        missing = -(-(self._floor_bytes - free) // MEGABYTE)
        return (
            f"the disk of the cache is nearly full: {free // MEGABYTE} MB are free and new work needs "
            f"{self._floor_bytes // MEGABYTE}; make {missing} MB of room in {self._cache}, or choose another --cache"
        )

    def check(self) -> None:
        """Refuse new work if there is no room for it.

        Raises:
            DiskFullError: Less than that is free.
        """
        if self.notice:
            raise DiskFullError(self.notice)


def free_bytes(folder: Path) -> int | None:
    """Bytes that are free for this user on a folder's disk; None if that is unknown."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def keep_reserve(cache: Path, floor_bytes: int) -> bool:
    """Write the reserve, a file that can be deleted, unless it exists or there is no room for it.

    Args:
        cache: The cache directory.
        floor_bytes: How much must be free in addition.

    Returns:
        Whether the reserve exists now.
    """
    file, free = cache / RESERVE, free_bytes(cache)
    if file.exists():
        return True
    if free is None or free < floor_bytes + 2 * RESERVE_BYTES:
        return False
    try:
        write_file(file, os.urandom(RESERVE_BYTES))  # random, so that no file system stores less than that
    except OSError:
        return False
    return True


def give_up_reserve(cache: Path) -> bool:
    """Delete the reserve, so that the queue can be written on a full disk; returns whether there was one."""
    try:
        (cache / RESERVE).unlink()
    except OSError:
        return False
    return True
