"""The store of rendered images.

They can be drawn again, so the store evicts them, checks them when it reads them, and is made anew when it is damaged.
"""

import hashlib
import os
import sqlite3
import threading
import time
from contextlib import suppress
from pathlib import Path

import diskcache

from lurk.errors import CacheError
from lurk.storage.cache_dir import machine_folder
from lurk.storage.disk_store import is_damage, open_store
from lurk.storage.metric_counts import COUNTS

LIMIT_BYTES = 1 << 30
TIMEOUT_S = 2.0
_CHECK_BYTES = 16


class Renders:
    """Images by key; the least recently used are evicted. `notice` says whether a damaged store was set aside."""

    def __init__(self, folder: Path, limit_bytes: int = LIMIT_BYTES) -> None:
        """Open the store, or make it.

        Args:
            folder: Folder of the store.
            limit_bytes: Its size, above which the least recently used images are evicted.

        Raises:
            CacheError: It cannot be opened, although it is not damaged.
        """
        self._folder, self._limit_bytes = folder, limit_bytes
        self._lock = threading.Lock()
        self.notice = ""
        try:
            self._store = self._opened()
        except diskcache.Timeout as error:
            raise CacheError(f"the store {folder} is held by another process") from error
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise CacheError(f"cannot use {folder}: {error}; make room, or choose another --cache") from error
            self._begin_anew(error, None)

    def _opened(self) -> diskcache.Cache:
        store = open_store(
            self._folder,
            TIMEOUT_S,
            eviction_policy="least-recently-used",
            cull_limit=10,
            size_limit=self._limit_bytes,
            sqlite_synchronous=1,
        )
        self._file = self._inode()
        return store

    def _inode(self) -> int | None:
        try:
            return int((self._folder / diskcache.core.DBNAME).stat().st_ino)
        except OSError:
            return None

    def _begin_anew(self, error: Exception, failed: diskcache.Cache | None) -> None:
        """Set the damaged store aside, unless another thread or process has done so."""
        with self._lock:
            if failed is not None and failed is not self._store:
                return
            if failed is None or self._inode() == self._file:
                aside = self._folder.with_name(f"{self._folder.name}-damaged-{os.getpid()}-{time.time_ns()}")
                with suppress(OSError):
                    self._folder.rename(aside)
                self.notice = (
                    f"the store of rendered images was damaged ({error}); it was set aside as {aside} and is made anew"
                )
            self._store = self._opened()

    def get(self, key: str) -> bytes | None:
        """Return the image of a key; None if there is none, its checksum is wrong, or the store cannot be read."""
        store = self._store
        try:
            found = store.get(key)
            if not isinstance(found, bytes) or found[:_CHECK_BYTES] == _checksum(found[_CHECK_BYTES:]):
                COUNTS.add("lurk_renders", found="yes" if isinstance(found, bytes) else "no")
                return found[_CHECK_BYTES:] if isinstance(found, bytes) else None
            store.delete(key)
        except (diskcache.Timeout, sqlite3.Error) as error:
            self._handle(error, store)
        return None

    def put(self, key: str, data: bytes) -> None:
        """Keep an image; one that cannot be kept is drawn again when it is needed."""
        store = self._store
        if len(data) > self._limit_bytes // 20:
            return
        try:
            store.set(key, _checksum(data) + data)
        except (diskcache.Timeout, sqlite3.Error) as error:
            self._handle(error, store)

    def _handle(self, error: Exception, store: diskcache.Cache) -> None:
        with suppress(sqlite3.Error):
            store.close()
        if is_damage(error) or self._inode() != self._file:
            with suppress(OSError, sqlite3.Error, diskcache.Timeout):
                self._begin_anew(error, store)


def _checksum(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_CHECK_BYTES).digest()


def open_renders(cache: Path, limit_bytes: int = LIMIT_BYTES) -> Renders:
    """Open the store of rendered images: in the cache, or on this machine if other machines mount the cache too.

    Args:
        cache: The cache directory.
        limit_bytes: Its size, above which the least recently used images are evicted.

    Returns:
        The store.

    Raises:
        CacheError: It cannot be opened.
    """
    folder = machine_folder(cache) / "renders"
    try:
        return Renders(folder, limit_bytes)
    except OSError as error:
        raise CacheError(f"cannot use {folder}: {error.strerror}; choose another --cache") from error
