"""Texts in a store, in the order of their names, changed by transactions: what the queue is built on."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import diskcache

from lurk.errors import QueueError
from lurk.storage.disk_space import give_up_reserve
from lurk.storage.disk_store import is_damage, open_store

TIMEOUT_S = 30.0
BEGUN = "begun"  # says that there was a queue: without it an empty database would pass for a new one


class Texts:
    """Texts under names, in the order of the names; what a transaction changes happens as a whole or not at all."""

    def __init__(self, cache: diskcache.Cache) -> None:
        self._cache = cache

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Change several texts at once; no other process or thread reads or changes them halfway."""
        told: QueueError | None = None
        try:
            with self._cache.transact():
                try:
                    yield
                except QueueError as error:
                    told = error
                    raise
        except (diskcache.Timeout, sqlite3.Error) as error:  # the way back fails too where the database has taken it
            self.close()
            raise told or queue_error(Path(self._cache.directory), error) from error
        except QueueError:
            self.close()
            raise

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn the database's errors into QueueError; outside a transaction, the thread's connection goes with them."""
        try:
            yield
        except (diskcache.Timeout, sqlite3.Error) as error:
            if self._cache._txn_id != threading.get_ident():
                self.close()
            raise queue_error(Path(self._cache.directory), error) from error

    def get(self, name: str) -> str | None:
        """Text of that name, None where there is none."""
        with self._told():
            value = self._cache.get(name)
        return None if value is None else str(value)

    def put(self, name: str, text: str) -> None:
        """Keep a text under a name."""
        with self._told():
            self._cache.set(name, text)

    def drop(self, name: str) -> None:
        """Forget a name; nothing happens where there is none."""
        with self._told():
            self._cache.delete(name)

    def span(self, low: str, high: str, most: int = -1) -> list[tuple[str, str]]:
        """The first names and texts, in order.

        Args:
            low: From this name on.
            high: Up to, without, this name.
            most: How many at most, -1 for all.

        Returns:
            (name, text) pairs.
        """
        query = "SELECT key, value FROM Cache WHERE raw = 1 AND key >= ? AND key < ? ORDER BY key LIMIT ?"
        with self._told():
            return [(str(name), str(text)) for name, text in self._cache._sql(query, (low, high, most)).fetchall()]

    def count(self, low: str, high: str) -> int:
        """How many names there are from `low` up to, without, `high`."""
        query = "SELECT COUNT(*) FROM Cache WHERE raw = 1 AND key >= ? AND key < ?"
        with self._told():
            return int(self._cache._sql(query, (low, high)).fetchone()[0])

    def next_number(self, name: str) -> int:
        """Count one up from 1; never the same number twice."""
        with self._told():
            return int(self._cache.incr(name))

    def check(self) -> None:
        """Read the whole database; damage is raised as QueueError."""
        with self._told():
            answer = self._cache._sql("PRAGMA quick_check(1)").fetchone()[0]
            if answer != "ok":
                raise sqlite3.DatabaseError(str(answer).replace("\n", " "))

    def close(self) -> None:
        """Close this thread's connection; the next use opens it again."""
        with suppress(sqlite3.Error):
            self._cache.close()


def queue_error(folder: Path, error: Exception) -> QueueError:
    """Say what is wrong with the queue's store, and what to do."""
    if isinstance(error, diskcache.Timeout):
        return QueueError(f"the job queue in {folder} is held by another process for too long; try again")
    if "is full" in str(error):
        give_up_reserve(folder.parent)  # the next try finds room
    if not is_damage(error):
        return QueueError(f"cannot use the job queue in {folder}: {error}; make room, or choose another --cache")
    return QueueError(
        f"the job queue in {folder} is damaged ({error}); stop lurk, move that folder away and start again: "
        f"waiting jobs are lost, results are not"
    )


def open_texts(cache: Path) -> Texts:
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
        store = open_store(
            folder,
            TIMEOUT_S,
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
