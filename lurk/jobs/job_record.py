"""A job's record in the store of the queue: the job, and what only the queue needs to know of it."""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Self

from lurk.jobs.queue import Job
from lurk.records import JobSpec, canonical

LONGEST_NOTE = 500
LONGEST_MESSAGE = 2_000
LONGEST_TRACEBACK = 20_000

Row = list[int | str]


@dataclass(frozen=True)
class Lease:
    """A sign of life: the clock that was read, and its time in seconds."""

    clock: str = ""
    at: float = 0.0


@dataclass(frozen=True)
class Clock:
    """The clock of a queue's leases.

    Args:
        name: Which clock it is; a lease by another clock has run out.
        now: Reads it, in seconds.
    """

    name: str
    now: Callable[[], float]

    def lease(self) -> Lease:
        """A sign of life now."""
        return Lease(self.name, self.now())

    def is_fresh(self, lease: Lease, limit_s: float) -> bool:
        """Whether a sign of life is at most `limit_s` old."""
        return lease.clock == self.name and 0 <= self.now() - lease.at <= limit_s


@dataclass
class Entry:
    """A job's record.

    Args:
        job: The job, as the queue's users see it.
        serial: Grows with each job that is asked for.
        ticket: Its place in its lane.
        over: Its place among the ended jobs.
        claim: Grows with each claim of any job.
        best: The most steps that were ever done.
        kills: How often its worker was killed by somebody since the job last got further.
        lease: The owner's last sign of life.
        listed: In which list of the queue it is, and with which row; None for a new job.
    """

    job: Job
    serial: int
    ticket: int = 0
    over: int = 0
    claim: int = 0
    best: int = 0
    kills: int = 0
    lease: Lease = Lease()
    listed: tuple[str, Row] | None = None

    @property
    def worker(self) -> str:
        """Name of the worker that owns it."""
        return (self.job.owner or "").partition("/")[0]

    @property
    def row(self) -> tuple[str, Row]:
        """The list in which it belongs, and its row there: its place, its key, and what the list tells of it."""
        key = self.job.key
        if self.job.state == "queued":
            return f"waiting:{self.job.lane:d}", [self.ticket, key, *self.job.people]
        if self.job.state == "running":
            return "running", [self.claim, key, int(self.job.lane)]
        return "ended", [self.over, key]

    def advance(self, done: int, total: int, note: str, rate: float | None) -> None:
        """Note the progress; a job that gets further than ever before begins to count its tries anew."""
        rate = rate if rate is not None and math.isfinite(rate) else None
        self.job = replace(self.job, done=done, total=total, note=note[:LONGEST_NOTE], rate=rate)
        if done > self.best:
            self.best, self.kills = done, 0
            self.job = replace(self.job, tries=1)

    def text(self) -> str:
        """JSON form, read back by `read`."""
        job = asdict(self.job) | {"spec": self.job.spec.to_json()}
        if self.job.error:
            job["error"] = [part[:LONGEST_MESSAGE] for part in self.job.error]
        if self.job.traceback:
            job["traceback"] = self.job.traceback[-LONGEST_TRACEBACK:]
        own = {name: value for name, value in self.__dict__.items() if name != "listed"}
        return canonical({**own, "job": job, "lease": [self.lease.clock, self.lease.at]})

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Read the JSON form; returns None if it is damaged."""
        try:
            value = json.loads(text)
            job, lease = value.pop("job"), value.pop("lease")
            error = job.pop("error")
            spec, others = JobSpec.from_json(job.pop("spec")), tuple(str(one) for one in job.pop("others", ()))
            whole = Job(
                **job, spec=spec, others=others, error=None if error is None else (str(error[0]), str(error[1]))
            )
            entry = cls(**value, job=whole, lease=Lease(str(lease[0]), float(lease[1])))
        except (ValueError, TypeError, KeyError, LookupError, AttributeError):
            return None
        entry.listed = entry.row
        return entry
