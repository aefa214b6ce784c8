"""How much memory there is for this process: the machine's, or what its container allows."""

import os
from pathlib import Path

LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
UNKNOWN_BYTES = 4 << 30


def memory_bytes() -> int:
    """Bytes of memory that this process may at most use; 4 GB where the system does not tell."""
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
