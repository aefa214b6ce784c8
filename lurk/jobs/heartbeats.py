"""Which workers are alive: each notes a sign of life now and then. The base of the local queue."""

import time
from collections.abc import Callable
from functools import cache as remember
from pathlib import Path

from lurk.jobs.disk_texts import Texts
from lurk.jobs.record import Lease

ALIVE_S = 5.0
FORGOTTEN_S = 600.0


@remember
def boot() -> str:
    """Names the time since this machine was started, within which monotonic clocks agree; empty where not told."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


class Presence:
    """Signs of life in a store, as texts `worker:<name>`."""

    def __init__(self, texts: Texts, clock: Callable[[], float] = time.monotonic) -> None:
        """Use a store.

        Args:
            texts: The store.
            clock: Seconds since the machine was started; steps of the wall clock do no harm to leases.
        """
        self._texts, self._clock = texts, clock

    def present(self, worker: str) -> None:
        """Note a worker's sign of life."""
        self._texts.put(f"worker:{worker}", self._lease().text())

    def absent(self, worker: str) -> None:
        """Forget a worker that ends."""
        self._texts.drop(f"worker:{worker}")

    def silence_s(self, worker: str) -> float:
        """Seconds since a worker's last sign of life; 0 where it gave none yet."""
        text = self._texts.get(f"worker:{worker}")
        return 0.0 if text is None else self._clock() - Lease.read(text).at

    def workers_alive(self) -> int:
        """How many workers gave a sign of life in the last seconds."""
        return sum(self._is_fresh(Lease.read(text), ALIVE_S) for _, text in self._texts.span("worker:", "worker;"))

    def _forget_silent(self) -> None:
        """Forget the workers that have been silent for long."""
        for name, text in self._texts.span("worker:", "worker;"):
            if not self._is_fresh(Lease.read(text), FORGOTTEN_S):
                self._texts.drop(name)

    def _lease(self) -> Lease:
        return Lease(boot(), self._clock())

    def _is_fresh(self, lease: Lease, limit_s: float) -> bool:
        return lease.boot == boot() and 0 <= self._clock() - lease.at <= limit_s
