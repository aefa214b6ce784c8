"""A job's record as the local queue keeps it: the job, and what only the queue needs to know of it."""

import json
import math
from dataclasses import asdict, dataclass, field, replace
from typing import Self

from lurk.jobs.queue import Job
from lurk.records import JobSpec, canonical

LONGEST_NOTE = 500
LONGEST_MESSAGE = 2_000
LONGEST_TRACEBACK = 20_000


@dataclass(frozen=True)
class Lease:
    """A sign of life: the machine's start that a monotonic clock counts from, and that clock, in seconds."""

    boot: str = ""
    at: float = -math.inf

    def text(self) -> str:
        """JSON form, read back by `read`."""
        return canonical([self.boot, self.at])

    @classmethod
    def read(cls, text: str) -> Self:
        """Read the JSON form; a damaged one is a lease that ran out long ago."""
        try:
            boot, at = json.loads(text)
            return cls(str(boot), float(at))
        except (ValueError, TypeError):
            return cls()


@dataclass
class Entry:
    """A job's record.

    Args:
        job: What the others may know.
        serial: Grows with each job that is asked for.
        ticket: Its place in its lane.
        over: Its place among the ended jobs.
        claim: Grows with each claim of any job.
        best: The furthest that it ever was.
        kills: How often its worker was killed by somebody since it last got further.
        lease: The owner's last sign of life.
    """

    job: Job
    serial: int
    ticket: int = 0
    over: int = 0
    claim: int = 0
    best: int = 0
    kills: int = 0
    lease: Lease = field(default_factory=lambda: Lease("", 0.0))

    @property
    def worker(self) -> str:
        """Name of the worker that owns it."""
        return (self.job.owner or "").partition("/")[0]

    def advance(self, done: int, total: int, note: str, rate: float | None) -> None:
        """Take in the progress; a job that gets further than ever begins to count its tries anew."""
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
        return canonical({**self.__dict__, "job": job, "lease": [self.lease.boot, self.lease.at]})

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Read the JSON form; None when it is damaged."""
        try:
            value = json.loads(text)
            job, lease = value.pop("job"), value.pop("lease")
            error = job.pop("error")
            spec, others = JobSpec.from_json(job.pop("spec")), tuple(str(one) for one in job.pop("others", ()))
            whole = Job(
                **job, spec=spec, others=others, error=None if error is None else (str(error[0]), str(error[1]))
            )
            return cls(**value, job=whole, lease=Lease(str(lease[0]), float(lease[1])))
        except (ValueError, TypeError, KeyError, LookupError, AttributeError):
            return None
