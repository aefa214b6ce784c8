"""What a queue promises: equal jobs run once, urgent ones first, none is lost with its worker, and a stop is obeyed.

A job waits in one of three lanes: 0 what somebody looks at now, 1 its neighbours, 2 whole sweeps; in a lane, first come
is first served. A worker holds a job by a lease that it must renew; whoever lets it run out no longer owns the job.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

from lurk.records import JobSpec

State = Literal["queued", "running", "done", "failed", "cancelled"]
LANES = 3


@dataclass(frozen=True)
class Job:
    """What is known of a job.

    Args:
        key: Identity: the hash of its spec.
        spec: What it is asked to do.
        lane: 0, 1 or 2; the smallest runs first.
        state: Where it stands.
        owner: Who runs it, None when nobody does.
        tries: How often it was begun since it last got further, the present time included.
        done: Steps done.
        total: Steps in all, 0 while that is not known.
        note: What it is at, in words.
        rate: Steps a second, None while that is not known.
        submitted: When it was asked for, in seconds since 1970.
        started: When it was last begun, in seconds since 1970.
        ended: When it ended, in seconds since 1970.
        result: What its task gave back.
        error: (type, message) of what made it fail.
        traceback: Where it failed, None for a user's mistake.
        stopping: Whether it runs but was asked to stop.
    """

    key: str
    spec: JobSpec
    lane: int
    state: State = "queued"
    owner: str | None = None
    tries: int = 0
    done: int = 0
    total: int = 0
    note: str = ""
    rate: float | None = None
    submitted: float = 0.0
    started: float | None = None
    ended: float | None = None
    result: dict[str, object] | None = None
    error: tuple[str, str] | None = None
    traceback: str | None = None
    stopping: bool = False


class Queue(Protocol):
    """Where jobs wait and are kept; a call is one indivisible change, and raises QueueError when that is impossible."""

    def submit(self, spec: JobSpec, lane: int = 0, *, again: bool = False) -> Job:
        """Ask for a job; one that is on record already is not run twice.

        Args:
            spec: What to do.
            lane: Where it waits; a waiting job moves to a better lane, never to a worse one.
            again: Whether to run it again where it is done; one that failed or was cancelled always is.

        Returns:
            The job as it now is.
        """

    def claim(self, owner: str, *, below: int | None = None) -> Job | None:
        """Take the next job.

        Args:
            owner: Who will run it: another name for each claim.
            below: Take only from lanes with smaller numbers.

        Returns:
            The job, now running; None when none waits.
        """

    def beat(self, key: str, owner: str, done: int, total: int, note: str = "", rate: float | None = None) -> bool:
        """Renew a lease and tell the progress; False when the job is to stop or is no longer the owner's."""

    def finish(self, key: str, owner: str, result: dict[str, object] | None) -> None:
        """End a job well; nothing happens when it is no longer the owner's."""

    def fail(self, key: str, owner: str, error: tuple[str, str], traceback: str | None = None) -> None:
        """End a job with its error; nothing happens when it is no longer the owner's."""

    def stopped(self, key: str, owner: str) -> None:
        """End a job that was asked to stop; one that was asked for again meanwhile waits again."""

    def release(self, key: str, owner: str) -> None:
        """Give a job back unharmed: it waits where it was, and the try does not count."""

    def cancel(self, key: str) -> Job | None:
        """Take a waiting job out, ask a running one to stop; None when there is none of that key."""

    def get(self, key: str) -> Job | None:
        """One job, None when there is none of that key."""

    def jobs(self) -> list[Job]:
        """All jobs on record, newest first."""

    def ahead(self, key: str) -> int:
        """How many jobs run or wait before a waiting one; 0 for any other."""

    def sweep_leases(self) -> int:
        """Take back the jobs whose leases ran out; returns how many."""

    def workers_alive(self) -> int:
        """How many workers gave a sign of life in the last seconds."""
