"""The queue's interface: equal jobs run once, urgent ones first, none is lost with its worker, and each can be stopped.

A job waits in one of three lanes (see `lanes`). In a lane the people take turns, and one person's jobs run first come,
first served (see `turns`). A worker holds a job by a lease that it must renew; when the lease runs out, the worker no
longer owns the job.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from lurk.jobs.lanes import Lane
from lurk.records import JobSpec

State = Literal["queued", "running", "done", "failed", "cancelled"]
MOST_PEOPLE = 50


@dataclass(frozen=True)
class Limits:
    """How many jobs may wait, not counting sweeps.

    Args:
        total: In all.
        person: Of one person.
    """

    total: int
    person: int


@dataclass(frozen=True)
class Job:
    """A job and how it stands.

    Args:
        key: Identity: the hash of its spec.
        spec: What it does.
        lane: A `Lane`; the smallest runs first.
        state: How it stands.
        owner: Who runs it, None if nobody does.
        tries: How often it was begun since it last got further, including this time.
        done: Steps done.
        total: Steps in all, 0 while that is unknown.
        note: What it is doing, in words.
        rate: Steps a second, None while that is unknown.
        submitted: When it was submitted, in seconds since 1970.
        started: When it was last begun, in seconds since 1970.
        ended: When it ended, in seconds since 1970.
        result: What its task returned.
        error: (type, message) of the error that ended it.
        traceback: Traceback of that error, None for a user's mistake.
        stopping: Whether it runs but was asked to stop.
        person: Who asked for it first; empty for the server itself, and if there is no log-in.
        others: Who else asked for it, in the order in which they did.
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
    person: str = ""
    others: tuple[str, ...] = ()

    @property
    def people(self) -> tuple[str, ...]:
        """Everyone who asked for it, the first one first."""
        return (self.person, *self.others)

    def joined(self, person: str) -> "Job":
        """The job once a person has asked for it too; the first 50 are kept."""
        if person in self.people or len(self.people) >= MOST_PEOPLE:
            return self
        return replace(self, others=(*self.others, person))

    def left(self, person: str) -> "Job | None":
        """The job once a person no longer wants it; None when nobody else does."""
        rest = tuple(one for one in self.people if one != person)
        return replace(self, person=rest[0], others=rest[1:]) if rest else None


class Queue(Protocol):
    """The jobs that wait, run and have ended. Each call is one indivisible change; QueueError says that it failed."""

    def submit(
        self,
        spec: JobSpec,
        lane: int = Lane.NOW,
        *,
        again: bool = False,
        person: str = "",
        limits: Limits | None = None,
    ) -> Job:
        """Submit a job; one that is on record already is not run twice.

        Args:
            spec: What to do.
            lane: Where it waits; a waiting job moves to a better lane, never to a worse one.
            again: Whether to run it again if it is done; one that failed or was cancelled is always run again.
            person: Who asks; added to those who asked before.
            limits: How many jobs may wait, None for any number; a job that waits or runs already is never refused.

        Returns:
            The job as it now is.

        Raises:
            QueueFullError: Too many jobs wait.
        """

    def claim(self, owner: str, *, below: int | None = None) -> Job | None:
        """Take the next job: the first of `turns.in_turn` in the best lane; the turn is noted.

        Args:
            owner: Who will run it: a worker's name, a slash, and a number that differs for each claim.
            below: Take only from lanes with smaller numbers.

        Returns:
            The job, now running; None if none waits.
        """

    def resume(self, key: str, owner: str) -> None:
        """Note that a worker goes on with a paused job: of those that it runs, it has now begun this one last."""

    def beat(self, key: str, owner: str, done: int, total: int, note: str = "", rate: float | None = None) -> bool:
        """Renew a lease and note the progress; False if the job is to stop or is no longer the owner's."""

    def finish(self, key: str, owner: str, result: dict[str, object] | None) -> None:
        """End a job well; nothing happens if it is no longer the owner's."""

    def fail(self, key: str, owner: str, error: tuple[str, str], traceback: str | None = None) -> None:
        """End a job with its error; nothing happens if it is no longer the owner's."""

    def stopped(self, key: str, owner: str) -> None:
        """End a job that was asked to stop; one that was asked for again meanwhile waits again."""

    def release(self, key: str, owner: str) -> None:
        """Give a job back unharmed: it waits where it was, and the try does not count."""

    def cancel(self, key: str, person: str | None = None) -> Job | None:
        """Take a waiting job out, ask a running one to stop.

        Args:
            key: Key of the job.
            person: Who no longer wants it; it goes on while somebody else does. None to end it whoever wants it.

        Returns:
            The job as it now is; None if there is none of that key.
        """

    def get(self, key: str) -> Job | None:
        """Return one job, None if there is none of that key."""

    def jobs(self) -> list[Job]:
        """Return all jobs on record, newest first."""

    def ahead(self, key: str) -> int:
        """Count the jobs that run or wait before a waiting one, in the order of `turns.in_turn`; 0 for any other."""

    def places(self) -> Mapping[str, int]:
        """Count the jobs that run or wait before each waiting one, by key."""

    def has_waiting(self, below: int | None = None) -> bool:
        """Whether a job waits, in the lanes with numbers smaller than `below` if that is given."""

    def sweep_leases(self) -> int:
        """Take back the jobs whose leases ran out; returns how many. One process calls it every second."""

    def lost(self, worker: str, reason: str, *, killed: bool = False) -> int:
        """Take back the jobs of a worker that has ended.

        Args:
            worker: Its name.
            reason: How it ended, in words that follow "the worker".
            killed: Whether somebody else seems to have killed it: then the job is not to blame, up to a limit.

        Returns:
            How many jobs it held.
        """

    def last_begun(self, worker: str) -> Job | None:
        """Return the job that a worker has begun last among those that it runs, None if it runs none."""

    def present(self, worker: str) -> None:
        """Note a worker's sign of life."""

    def absent(self, worker: str) -> None:
        """Forget a worker that ends."""

    def silence_s(self, worker: str) -> float:
        """Seconds since a worker's last sign of life; 0 if it has given none yet."""

    def workers_alive(self) -> int:
        """How many workers gave a sign of life in the last seconds."""

    def risks(self) -> list[str]:
        """Say which settings of the queue's store may lose jobs, and how to change them."""

    def close(self) -> None:
        """Close the connections; the next use opens them again."""
