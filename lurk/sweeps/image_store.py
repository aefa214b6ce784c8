"""The store of preprocessed images, so that whoever needs them next need not decode their files again.

What it holds can be made again: the oldest files are removed when it is full, and a damaged one counts as missing.
Several threads and processes may use it at once.
"""

import os
import threading
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from lurk.errors import LurkError
from lurk.storage.atomic_files import write_file

Samples = np.ndarray[Any, np.dtype[np.uint8]]
FOLDER, MEGABYTE = "images", 1 << 20
STEP = 0.1  # of the limit: so much is written before the size is looked up again, and so much is removed at once
CHECK_BYTES = 4


class ImageStore:
    """8-bit samples by key, a file each.

    >>> store = ImageStore(Path("cache/images"), limit_bytes=1 << 30)  # doctest: +SKIP
    >>> store.put("5f3a", np.zeros(12, np.uint8)); store.get("5f3a", 12)  # doctest: +SKIP
    array([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], dtype=uint8)

    Args:
        folder: Its folder, made when the first image is put in.
        limit_bytes: Size above which the oldest files are removed; each process may exceed it by a tenth.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._folder, self._limit_bytes = folder, limit_bytes
        self._room = 0
        self._lock = threading.Lock()

    def get(self, key: str, size: int) -> Samples | None:
        """Read samples.

        Args:
            key: Hexadecimal digits.
            size: How many samples there must be.

        Returns:
            uint8 (size,); None if there are none, or they are damaged.
        """
        try:
            found = np.fromfile(self._file(key), np.uint8)
        except OSError:
            return None
        samples = found[:-CHECK_BYTES]
        return samples if len(samples) == size and found[-CHECK_BYTES:].tobytes() == _checksum(samples.data) else None

    def put(self, key: str, samples: Samples) -> None:
        """Keep samples, uint8 of any shape; what cannot be kept, such as on a full disk, is made again when needed."""
        data = samples.tobytes()
        with suppress(OSError):
            self._make_room(len(data) + CHECK_BYTES)
            file = self._file(key)
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_file(file, data + _checksum(data))

    def _file(self, key: str) -> Path:
        return self._folder / key[:2] / key

    def _make_room(self, needed: int) -> None:
        """Look the size up now and then, and remove the oldest files if it is above the limit."""
        with self._lock:
            if needed > self._room:
                self._room = max(needed, int(STEP * self._limit_bytes))
                files = sorted(_files(self._folder))
                total = sum(size for _, size, _ in files)
                for _, size, file in files:
                    if total + self._room <= self._limit_bytes:
                        break
                    file.unlink(missing_ok=True)
                    total -= size
            self._room -= needed


def open_image_store(cache: Path, megabytes: int) -> ImageStore | None:
    """The store of a cache directory; None if it may hold nothing."""
    if megabytes < 0:
        raise LurkError(f"keep_images must be 0 or more megabytes, not {megabytes}")
    return ImageStore(cache / FOLDER, megabytes * MEGABYTE) if megabytes else None


def _files(folder: Path) -> list[tuple[int, int, Path]]:
    """Time, size and path of each file, those included that a killed process has left half written."""
    found = []
    for part in folder.glob("*"):
        with os.scandir(part) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):  # removed by another process
                    status = entry.stat()
                    found.append((status.st_mtime_ns, status.st_size, Path(entry.path)))
    return found


def _checksum(data: memoryview | bytes) -> bytes:
    return zlib.crc32(data).to_bytes(CHECK_BYTES, "little")
