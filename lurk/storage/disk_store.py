"""The only place that opens a diskcache store: an SQLite database in a folder, which never holds a pickled value."""

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

import diskcache

_INLINE_BYTES = 1 << 30
_SETTINGS = {
    "disk_min_file_size": _INLINE_BYTES,  # values lie in the database, so that a kill leaves no stray file
    "sqlite_mmap_size": 0,
    "sqlite_cache_size": 256,  # pages a connection; each thread of a web worker has a connection a store
    "statistics": 0,
    "tag_index": 0,
}


class PlainDisk(diskcache.Disk):  # type: ignore[misc]  # diskcache has no types
    """Keys are texts, values texts, numbers or bytes; anything else is refused, both ways."""

    def put(self, key: object) -> tuple[object, bool]:
        """Database form of a key."""
        if type(key) is not str:
            raise TypeError(f"a key of a store is a text, not {type(key).__name__}")
        return key, True

    def get(self, key: object, raw: bool) -> object:
        """Key of a database form."""
        if not raw:
            raise sqlite3.DatabaseError("it holds a pickled key, which is never read")
        return key

    def store(self, value: object, read: bool, key: object = diskcache.UNKNOWN) -> tuple[object, ...]:
        """Database form of a value."""
        if read or type(value) not in (str, bytes, int, float):
            raise TypeError(f"a store keeps texts, numbers and bytes, not {type(value).__name__}")
        return tuple(super().store(value, read, key=key))

    def fetch(self, mode: int, filename: str | None, value: object, read: bool) -> object:
        """Value of a database form."""
        if mode != diskcache.core.MODE_RAW:
            raise sqlite3.DatabaseError("it holds a pickled value, which is never read")
        return super().fetch(mode, filename, value, read)


def open_store(folder: Path, timeout_s: float, **settings: object) -> diskcache.Cache:
    """Open a store, or make it; only its owner may read its files.

    Args:
        folder: Where it lies.
        timeout_s: How long a call waits for other processes, in seconds.
        **settings: diskcache's settings.

    Returns:
        The store.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):  # opened only to make it: closing a database file would drop this process's locks
        os.close(os.open(folder / diskcache.core.DBNAME, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    return diskcache.Cache(str(folder), timeout=timeout_s, disk=PlainDisk, **_SETTINGS, **settings)


def is_damage(error: Exception) -> bool:
    """Whether an error says that the database is broken, rather than busy, out of room or used wrongly."""
    if isinstance(error, sqlite3.OperationalError):
        return "no such" in str(error)
    return type(error) is sqlite3.DatabaseError
