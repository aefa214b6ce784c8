"""The numbers that a process counts for the metrics: in memory, and added every few seconds to a store that all share.

If the store is busy or its disk is full, nothing is lost and nobody waits: the numbers are added later.
"""

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

import diskcache

from lurk.errors import CacheError, LurkError
from lurk.storage.cache_dir import machine_folder
from lurk.storage.disk_store import open_store

FLUSH_S = 2.0
TIMEOUT_S = 2.0
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)

Name = tuple[str, tuple[tuple[str, str], ...]]


class Shared(Protocol):
    """The numbers that processes share; both calls raise a LurkError if the store cannot be used now."""

    def add(self, amounts: Mapping[str, float]) -> None:
        """Add to several numbers, all or none."""

    def read(self) -> Mapping[str, float]:
        """All numbers."""


class DiskCounts:
    """The numbers that the processes of a cache directory on this machine share; see `Shared`."""

    def __init__(self, cache: Path) -> None:
        """Open the store.

        Args:
            cache: The cache directory.

        Raises:
            CacheError: It cannot be opened.
        """
        self._folder = machine_folder(cache) / "counts"
        with self._errors():
            self._store = open_store(
                self._folder, TIMEOUT_S, eviction_policy="none", cull_limit=0, sqlite_synchronous=0
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


class Counts:
    """Numbers that only grow, by name and labels; safe for several threads."""

    def __init__(self) -> None:
        self._lock, self._numbers = threading.Lock(), dict[Name, float]()
        self._shared: Shared | None = None

    def add(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add to a number.

        Args:
            name: The metric's name.
            amount: What is added, 0 or more.
            **labels: The metric's labels.
        """
        key = (name, tuple(sorted(labels.items())))
        with self._lock:
            self._numbers[key] = self._numbers.get(key, 0) + amount

    def time(self, name: str, seconds: float, **labels: str) -> None:
        """Add a time to a histogram.

        Args:
            name: The metric's name.
            seconds: The time.
            **labels: The metric's labels.
        """
        bound = next((bound for bound in BUCKETS_S if seconds <= bound), None)
        self.add(f"{name}_bucket", 1, **labels, le="+Inf" if bound is None else f"{bound:g}")
        self.add(f"{name}_sum", seconds, **labels)

    def share(self, store: Shared) -> None:
        """Add to a shared store from now on, every few seconds, in a thread of its own."""
        if self._shared is None:
            self._shared = store
            threading.Thread(target=self._keep_flushing, name="counts", daemon=True).start()

    def _keep_flushing(self) -> None:
        pause = threading.Event()
        while not pause.wait(FLUSH_S):
            self.flush()

    def flush(self) -> None:
        """Add to the shared store what was counted since the last flush."""
        if self._shared is None:
            return
        with self._lock:
            taken, self._numbers = self._numbers, {}
        try:
            self._shared.add({json.dumps([name, dict(labels)]): amount for (name, labels), amount in taken.items()})
        except LurkError:
            with self._lock:
                for key, amount in taken.items():
                    self._numbers[key] = self._numbers.get(key, 0) + amount

    def read(self) -> Mapping[Name, float]:
        """Return all numbers: those of every process if they are shared, else those of this one."""
        self.flush()
        with self._lock:
            found = dict(self._numbers)
        if self._shared is not None:
            with suppress(LurkError, ValueError):
                for text, amount in self._shared.read().items():
                    name, labels = json.loads(text)
                    key = (name, tuple(sorted(labels.items())))
                    found[key] = found.get(key, 0) + amount
        return found


COUNTS = Counts()
