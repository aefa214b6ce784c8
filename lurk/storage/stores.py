"""The stores below the cache directory: the only place that opens a diskcache store.

The queue is never evicted and every change is on the disk when it returns; the renders can be computed again, so they
are evicted, checked when read, and set aside when damaged. Neither ever writes or reads a pickled value.
"""

import hashlib
import os
import sqlite3
import stat
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import diskcache

from lurk.errors import CacheError
from lurk.jobs.disk_texts import Texts, is_damage, queue_error
from lurk.records import digest
from lurk.storage.counts import COUNTS
from lurk.storage.filesystem import is_shared

RENDER_LIMIT_BYTES = 1 << 30
QUEUE_TIMEOUT_S = 30.0
RENDER_TIMEOUT_S = 2.0
BEGUN = "begun"  # says that there was a queue: without it an empty database would pass for a new one
_INLINE_BYTES = 1 << 30
_CHECK_BYTES = 16
_SHARED = {
    "disk_min_file_size": _INLINE_BYTES,  # values lie in the database, so that a kill leaves no stray file
    "sqlite_mmap_size": 0,
    "sqlite_cache_size": 256,  # pages of a connection, of which every thread of a web worker has one a store
    "statistics": 0,
    "tag_index": 0,
}


def prepare_cache(path: str | os.PathLike[str]) -> Path:
    """Make the cache directory, or check it, and close it to other users.

    Args:
        path: The directory; its parents are made as well.

    Returns:
        Its absolute path; its mode is 0700.

    Raises:
        CacheError: It cannot be made or written, is another user's, is open to everyone, or is a folder that holds
            other things: the root of the file system or the home folder.
    """
    cache = Path(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100 - resolve() would follow a link, which then could not be named
    if cache in (Path(cache.anchor), Path.home()):
        raise CacheError(f"the cache directory {cache} holds other things; choose a folder of its own with --cache")
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.name == "posix":
            _close_to_others(cache)
        with tempfile.TemporaryFile(dir=cache):
            pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise CacheError(f"cannot use the cache directory {cache}: {reason}; choose another with --cache") from error
    return cache


def _close_to_others(cache: Path) -> None:
    found = cache.stat()
    user = os.geteuid()
    if user not in (0, found.st_uid):  # a container's root may be given a folder of the host's user
        raise CacheError(
            f"the cache directory {cache} belongs to another user (number {found.st_uid}); choose another with --cache"
        )
    if found.st_mode & stat.S_IWOTH:
        raise CacheError(
            f"the cache directory {cache} can be changed by everyone; choose another with --cache, "
            f"or, if nobody has: chmod 700 {cache}"
        )
    if stat.S_IMODE(found.st_mode) != 0o700:
        cache.chmod(0o700)


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


def _open(folder: Path, timeout_s: float, **settings: object) -> diskcache.Cache:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):  # opened only to make it: closing a database file would drop this process's locks
        os.close(os.open(folder / diskcache.core.DBNAME, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    return diskcache.Cache(str(folder), timeout=timeout_s, disk=PlainDisk, **_SHARED, **settings)


class DiskCounts:
    """The numbers that the processes of a cache directory on this machine share; see `lurk.storage.counts.Shared`."""

    def __init__(self, cache: Path) -> None:
        """Open the store.

        Args:
            cache: The cache directory.

        Raises:
            CacheError: It cannot be opened.
        """
        self._folder = _of_this_machine(cache) / "counts"
        with self._errors():
            self._store = _open(
                self._folder, RENDER_TIMEOUT_S, eviction_policy="none", cull_limit=0, sqlite_synchronous=0
            )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error, diskcache.Timeout) as error:
            raise CacheError(f"cannot use {self._folder}: {error}") from error

    def add(self, amounts: Mapping[str, float]) -> None:
        """Add to several numbers."""
        with self._errors(), self._store.transact():
            for name, amount in amounts.items():
                self._store.incr(name, amount, default=0)

    def read(self) -> dict[str, float]:
        """All numbers."""
        with self._errors():
            return {str(name): float(self._store.get(name, 0)) for name in self._store}


def _of_this_machine(cache: Path) -> Path:
    """The cache directory, or a folder of this machine where other machines have that one as well."""
    if not is_shared(cache):
        return cache
    user = os.geteuid() if os.name == "posix" else 0
    return prepare_cache(Path(tempfile.gettempdir(), f"lurk-{user}-{digest(str(cache))[:12]}"))


def open_queue(cache: Path) -> Texts:
    """Open the queue's store.

    Args:
        cache: The cache directory.

    Returns:
        The store; nothing is evicted from it, and what it acknowledged survives a power cut.

    Raises:
        queue_error: A QueueError: it cannot be opened, or is damaged.
    """
    folder = cache / "queue"
    begun, database = folder / BEGUN, folder / diskcache.core.DBNAME
    if begun.exists() and not (database.exists() and database.stat().st_size):
        raise queue_error(folder, sqlite3.DatabaseError("its database is gone or empty"))
    try:
        store = _open(
            folder,
            QUEUE_TIMEOUT_S,
            eviction_policy="none",
            cull_limit=0,
            size_limit=1 << 60,
            sqlite_synchronous=2,
        )
    except (OSError, diskcache.Timeout, sqlite3.Error) as error:
        raise queue_error(folder, error) from error
    texts = Texts(store)
    texts.check()
    with suppress(OSError):  # a full disk; the next start tries again
        begun.touch(0o600)
    return texts


class Renders:
    """Images by key, least recently used first to go; a damaged store is set aside and begun anew, as `notice` says."""

    def __init__(self, folder: Path, limit_bytes: int = RENDER_LIMIT_BYTES) -> None:
        """Open the store, or begin it.

        Args:
            folder: Where the store lies.
            limit_bytes: Its size, above which the least recently used images go.

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
        store = _open(
            self._folder,
            RENDER_TIMEOUT_S,
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
        """Set the damaged store aside, unless another thread or process has."""
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
        """Image of a key; None when there is none, it does not pass its checksum, or the store cannot be read."""
        store = self._store
        try:
            found = store.get(key)
            if not isinstance(found, bytes) or found[:_CHECK_BYTES] == _checksum(found[_CHECK_BYTES:]):
                COUNTS.add("lurk_renders", found="yes" if isinstance(found, bytes) else "no")
                return found[_CHECK_BYTES:] if isinstance(found, bytes) else None
            store.delete(key)
        except (diskcache.Timeout, sqlite3.Error) as error:
            self._troubled(error, store)
        return None

    def put(self, key: str, data: bytes) -> None:
        """Keep an image; one that cannot be kept is left out, since it can be drawn again."""
        store = self._store
        if len(data) > self._limit_bytes // 20:
            return
        try:
            store.set(key, _checksum(data) + data)
        except (diskcache.Timeout, sqlite3.Error) as error:
            self._troubled(error, store)

    def _troubled(self, error: Exception, store: diskcache.Cache) -> None:
        with suppress(sqlite3.Error):
            store.close()
        if is_damage(error) or self._inode() != self._file:
            with suppress(OSError, sqlite3.Error, diskcache.Timeout):
                self._begin_anew(error, store)


def _checksum(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_CHECK_BYTES).digest()


def open_renders(cache: Path, limit_bytes: int = RENDER_LIMIT_BYTES) -> Renders:
    """Open the store of rendered images, in the cache or, where several machines share that, in a folder of this one.

    Args:
        cache: The cache directory.
        limit_bytes: Its size, above which the least recently used images go.

    Returns:
        The store.

    Raises:
        CacheError: It cannot be opened.
    """
    folder = _of_this_machine(cache) / "renders"
    try:
        return Renders(folder, limit_bytes)
    except OSError as error:
        raise CacheError(f"cannot use {folder}: {error.strerror}; choose another --cache") from error
