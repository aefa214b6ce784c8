"""Which workers are alive: each notes a sign of life every few seconds."""

import json
from pathlib import Path

from lurk.jobs.job_record import Clock, Lease
from lurk.jobs.text_store import Texts
from lurk.records import canonical

WORKERS = "workers"
ALIVE_S = 5.0
FORGOTTEN_S = 600.0


def boot_id() -> str:
    """Name this start of the machine, for which its monotonic clock goes on; empty if it is unknown."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


class Heartbeats:
    """The workers' signs of life, as one text of a store.

    Args:
        texts: The store.
        clock: The clock of the leases.
    """

    def __init__(self, texts: Texts, clock: Clock) -> None:
        self._texts, self._clock = texts, clock

    def present(self, worker: str) -> None:
        """Note a worker's sign of life, and forget the workers that have been silent for long."""
        with self._texts.transaction():
            self._keep({**self._fresh(FORGOTTEN_S), worker: self._clock.lease()})

    def absent(self, worker: str) -> None:
        """Forget a worker that ends."""
        with self._texts.transaction():
            self._keep({name: lease for name, lease in self._leases().items() if name != worker})

    def silence_s(self, worker: str) -> float:
        """Seconds since a worker's last sign of life; 0 if it has given none yet."""
        lease = self._leases().get(worker)
        return 0.0 if lease is None else self._clock.now() - lease.at

    def workers_alive(self) -> int:
        """How many workers gave a sign of life in the last seconds."""
        return len(self._fresh(ALIVE_S))

    def _fresh(self, limit_s: float) -> dict[str, Lease]:
        return {name: lease for name, lease in self._leases().items() if self._clock.is_fresh(lease, limit_s)}

    def _leases(self) -> dict[str, Lease]:
        try:
            found = json.loads(self._texts.get(WORKERS) or "{}")
            return {str(name): Lease(str(clock), float(at)) for name, (clock, at) in found.items()}
        except (ValueError, TypeError, AttributeError):
            return {}

    def _keep(self, leases: dict[str, Lease]) -> None:
        self._texts.put(WORKERS, canonical({name: [lease.clock, lease.at] for name, lease in leases.items()}))
