"""A real file system of a few megabytes, where one may be mounted."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, megabytes: int, *options: str) -> Iterator[Path]:
    """Mount a disk of so many megabytes on a new folder; the test is skipped where that is not allowed."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root may mount a small disk")
    folder.mkdir()
    how = ",".join((f"size={megabytes}m,mode=700", *options))
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", how, "small", str(folder)], capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"no small disk can be mounted here: {made.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


def fill(folder: Path) -> Path:
    """Write a file until the disk is full; returns it."""
    file = folder / "filler"
    for size in (1 << 20, 1 << 12, 1):
        with file.open("ab", buffering=0) as out:
            try:
                while True:
                    out.write(b"x" * size)
            except OSError:
                continue
    return file
