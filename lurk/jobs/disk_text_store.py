"""The texts of the local queue: in a diskcache store below the cache directory."""

import sqlite3
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import diskcache

from lurk.errors import QueueError
from lurk.storage.disk_space import give_up_reserve
from lurk.storage.disk_store import is_damage, open_store

TIMEOUT_S = 30.0
BEGUN = "begun"  # says that there was a queue: without it an empty database would pass for a new one


class DiskTexts:
    """Texts in a diskcache store; see `Texts`."""

    def __init__(self, store: diskcache.Cache) -> None:
        self._store = store
        self._thread = threading.local()

    @property
    def _is_in_transaction(self) -> bool:
        return getattr(self._thread, "is_in_transaction", False)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Change several texts together; see `Texts`."""
        if self._is_in_transaction:
            yield
            return
        failure: QueueError | None = None
        self._thread.is_in_transaction = True
        try:
            with self._store.transact():
                try:
                    yield
                except QueueError as error:
                    failure = error
                    raise
        except (diskcache.Timeout, sqlite3.Error) as error:  # also of a ROLLBACK, if SQLite has rolled back itself
            self.close()
            raise failure or self._queue_error(error) from error
        except QueueError:
            self.close()
            raise
        finally:
            self._thread.is_in_transaction = False

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn the database's errors into QueueError; outside a transaction, close the thread's connection."""
        try:
            yield
        except (diskcache.Timeout, sqlite3.Error) as error:
            if not self._is_in_transaction:
                self.close()
            raise self._queue_error(error) from error

    def _queue_error(self, error: Exception) -> QueueError:
        return queue_error(Path(self._store.directory), error)

    def get(self, name: str) -> str | None:
        """Return the text of a name, None if there is none."""
        with self._errors():
            value = self._store.get(name)
        return None if value is None else str(value)

    def put(self, name: str, text: str) -> None:
        """Keep a text under a name."""
        with self._errors():
            self._store.set(name, text)

    def drop(self, name: str) -> None:
        """Forget a name, if it is there."""
        with self._errors():
            self._store.delete(name)

    def items(self) -> dict[str, str]:
        """Read all texts by name."""
        with self._errors():
            found = [(name, self._store.get(name)) for name in self._store.iterkeys()]
        return {str(name): str(value) for name, value in found if value is not None}

    def next_number(self, name: str) -> int:
        """Count up from 1; no number comes twice."""
        with self._errors():
            return int(self._store.incr(name))

    def check(self) -> None:
        """Check the whole database; QueueError says that it is damaged."""
        with self._errors(), warnings.catch_warnings():
            warnings.simplefilter("always")
            damage = [found.message for found in self._store.check() if found.category is UserWarning]
            if damage:
                raise sqlite3.DatabaseError(str(damage[0]).replace("\n", " "))

    def risks(self) -> list[str]:
        """Return nothing: a disk of this machine loses no jobs."""
        return []

    def close(self) -> None:
        """Close this thread's connection; the next use opens it again."""
        with suppress(sqlite3.Error):
            self._store.close()


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


def open_texts(cache: Path) -> DiskTexts:
    """Open the store of a cache's queue, or make it, and check it.

    Args:
        cache: The cache directory.

    Returns:
        The store; it evicts nothing, and a change that has returned survives a power cut.

    Raises:
        queue_error: A QueueError: it cannot be opened, or is damaged.
    """
    folder = cache / "queue"
    begun, database = folder / BEGUN, folder / diskcache.core.DBNAME
    if begun.exists() and not (database.exists() and database.stat().st_size):
        raise queue_error(folder, sqlite3.DatabaseError("its database is gone or empty"))
    try:
        store = open_store(
            folder, TIMEOUT_S, eviction_policy="none", cull_limit=0, size_limit=1 << 60, sqlite_synchronous=2
        )
    except (OSError, diskcache.Timeout, sqlite3.Error) as error:
        raise queue_error(folder, error) from error
    texts = DiskTexts(store)
    texts.check()
    with suppress(OSError):  # a full disk; the next start tries again
        begun.touch(0o600)
    return texts
