"""The memory of this process: how much it may use, and whether freed memory is kept or returned."""

import ctypes
import os
from pathlib import Path

LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
UNKNOWN_BYTES = 4 << 30
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -2, -3, -4, -8
_KEPT_BYTES = 256 << 20
_LARGE_BYTES = 256 << 10


def memory_bytes() -> int:
    """Bytes of memory that this process may use at most; 4 GiB if the system does not say."""
    return min(
        (found for found in (_machine(), *(_limit(Path(file)) for file in LIMITS)) if found), default=UNKNOWN_BYTES
    )


def _machine() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def _limit(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):  # no container, or "max"
        return None


def keep_freed_memory() -> bool:
    """Let glibc keep the large blocks that a forward pass frees and needs again; other C libraries are left alone.

    By default each block is returned to the system, and its pages are cleared again for the next batch. That doubles
    the time of a forward pass on a CPU.

    Returns:
        Whether the setting was taken.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    taken = [mallopt(_MMAP_MAX, 0), mallopt(_TRIM_THRESHOLD, 2**31 - 1), mallopt(_TOP_PAD, _KEPT_BYTES)]
    return all(taken)


def give_back_freed_memory() -> bool:
    """Let glibc return the memory that threads free; other C libraries are left alone.

    By default each of many threads keeps, in a heap of its own, the memory that drawing an image once took.

    Returns:
        Whether the setting was taken.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    taken = [mallopt(_ARENA_MAX, 2), mallopt(_MMAP_THRESHOLD, _LARGE_BYTES), mallopt(_TRIM_THRESHOLD, _LARGE_BYTES)]
    return all(taken)
