"""The queue: a record of each job, in a store that all processes of the queue share.

The store decides whether the queue is one of this machine or of many: see `open_queue`.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Protocol

from lurk.jobs.heartbeats import Heartbeats
from lurk.jobs.job_record import Clock, Entry
from lurk.jobs.job_store import JobRecords
from lurk.jobs.lanes import Lane
from lurk.jobs.queue import Job, Limits
from lurk.jobs.text_store import Texts
from lurk.jobs.turns import after_turn, check_room, in_turn, places
from lurk.records import JobSpec

LEASE_S = 10.0
TRIES = 3
KILLS = 25


def _lanes(below: int | None) -> range:
    """The lanes with numbers smaller than `below`; all of them if that is None."""
    return range(len(Lane) if below is None else below)


class Notifier(Protocol):
    """Tells the workers of other machines that jobs wait."""

    def notify(self, keys: Iterable[str]) -> None:
        """Send a message for each job that begins to wait."""

    def notify_again(self, keys: Iterable[str]) -> None:
        """Send a message for each waiting job, unless earlier messages are still unread."""

    def close(self) -> None:
        """Close the connections; the next use opens them again."""


class RecordQueue(Heartbeats):
    """The queue; safe for several processes and threads, and for a kill between any two steps.

    Args:
        texts: The store of the queue.
        clock: The clock of its leases.
        notifier: Tells workers of waiting jobs; without one they look for themselves.
    """

    def __init__(self, texts: Texts, clock: Clock, notifier: Notifier | None = None) -> None:
        super().__init__(texts, clock)
        self._records, self._notifier = JobRecords(texts), notifier
        self._last_sweep_s: float | None = None

    def submit(
        self,
        spec: JobSpec,
        lane: int = Lane.NOW,
        *,
        again: bool = False,
        person: str = "",
        limits: Limits | None = None,
    ) -> Job:
        """Ask for a job in a lane, `again` also if it is done; see `Queue`."""
        if lane not in set(Lane):
            raise ValueError(f"a lane is one of {', '.join(map(str, Lane))}, not {lane}")
        with self._texts.transaction():
            entry = self._records.get(spec.key)
            before = entry.job if entry else None
            if entry is None or entry.job.state in ("failed", "cancelled") or (entry.job.state == "done" and again):
                if limits is not None:
                    check_room(self._records.waiting(), lane, person, limits)
                number = self._number()
                job = Job(spec.key, spec, lane, submitted=time.time(), person=person)
                entry = Entry(job, serial=number, ticket=number, listed=entry.listed if entry else None)
                self._records.keep(entry)
            elif entry.job.state in ("queued", "running"):
                self._join(entry, lane, person)
        if entry.job != before:
            self._notify([entry.job])
        return entry.job

    def _join(self, entry: Entry, lane: int, person: str) -> None:
        """Note that somebody asks for a job that waits or runs; one that was asked to stop is then theirs alone."""
        before = entry.job
        joined = replace(before, person=person, others=()) if before.stopping else before.joined(person)
        entry.job = replace(joined, lane=min(lane, before.lane), stopping=False)
        if before.state == "queued" and lane < before.lane:
            entry.ticket = self._number()
        if entry.job != before:
            self._records.keep(entry)

    def _notify(self, jobs: Iterable[Job]) -> None:
        """Tell workers of those jobs that wait."""
        keys = [job.key for job in jobs if job.state == "queued"]
        if keys and self._notifier:
            self._notifier.notify(keys)

    def claim(self, owner: str, *, below: int | None = None) -> Job | None:
        """Take the next job of the lanes `below`; `owner` is the worker's name, a slash and a number; see `Queue`."""
        lanes = _lanes(below)
        if not self._records.has_waiting(lanes):
            return None
        with self._texts.transaction():
            for lane in lanes:
                turns = self._records.turns(lane)
                for waiting, person in in_turn(self._records.waiting([lane]), turns):
                    entry = self._records.get(waiting.key)
                    if entry and entry.job.state == "queued":
                        self._records.keep_turns(lane, after_turn(turns, person, self._number()))
                        return self._claimed(entry, owner)
                    self._records.drop_row(f"waiting:{lane}", waiting.key)
        return None

    def _claimed(self, entry: Entry, owner: str) -> Job:
        job = replace(entry.job, state="running", owner=owner, tries=entry.job.tries + 1, started=time.time())
        entry.job = replace(job, done=0, total=0, note="", rate=None, stopping=False)
        entry.claim, entry.lease = self._number(), self._clock.lease()
        self._records.keep(entry)
        return entry.job

    def resume(self, key: str, owner: str) -> None:
        """Note that a worker goes on with a paused job: of those that it runs, it has now begun this one last."""
        with self._texts.transaction():
            entry = self._owned(key, owner)
            if entry:
                entry.claim = self._number()
                self._records.keep(entry)

    def beat(self, key: str, owner: str, done: int, total: int, note: str = "", rate: float | None = None) -> bool:
        """Renew a lease and note the progress; False if the job is to stop or is not the owner's; see `Queue`."""
        with self._texts.transaction():
            entry = self._owned(key, owner)
            if entry is None:
                return False
            entry.advance(done, total, note, rate)
            entry.lease = self._clock.lease()
            self._records.keep(entry)
            return not entry.job.stopping

    def finish(self, key: str, owner: str, result: dict[str, object] | None) -> None:
        """End a job well; nothing happens if it is no longer the owner's."""
        with self._texts.transaction():
            entry = self._owned(key, owner)
            if entry:
                entry.job = replace(entry.job, state="done", result=result, note="", done=entry.job.total)
                self._end(entry)

    def fail(self, key: str, owner: str, error: tuple[str, str], traceback: str | None = None) -> None:
        """End a job with its error; nothing happens if it is no longer the owner's."""
        with self._texts.transaction():
            entry = self._owned(key, owner)
            if entry:
                self._fail(entry, error, traceback)

    def _fail(self, entry: Entry, error: tuple[str, str], traceback: str | None = None) -> None:
        entry.job = replace(entry.job, state="failed", error=error, traceback=traceback)
        self._end(entry)

    def stopped(self, key: str, owner: str) -> None:
        """End a job that was asked to stop; one that was asked for again meanwhile waits again."""
        self.release(key, owner)

    def release(self, key: str, owner: str) -> None:
        """Give a job back unharmed: it waits where it was, and the try does not count; one asked to stop ends."""
        with self._texts.transaction():
            entry = self._owned(key, owner)
            if entry:
                self._give_back(entry)
        if entry:
            self._notify([entry.job])

    def _give_back(self, entry: Entry) -> None:
        if entry.job.stopping:
            self._cancel(entry)
        else:
            entry.job = replace(entry.job, tries=entry.job.tries - 1)
            self._wait_again(entry)

    def cancel(self, key: str, person: str | None = None) -> Job | None:
        """Take a waiting job out, ask a running one to stop, unless somebody but the `person` wants it; see `Queue`."""
        with self._texts.transaction():
            entry = self._records.get(key)
            if entry is None:
                return None
            left = None if person is None else entry.job.left(person)
            if left and entry.job.state in ("queued", "running"):
                entry.job = left
                self._records.keep(entry)
            elif entry.job.state == "queued":
                self._cancel(entry)
            elif entry.job.state == "running":
                entry.job = replace(entry.job, stopping=True)
                self._records.keep(entry)
            return entry.job

    def _cancel(self, entry: Entry) -> None:
        entry.job = replace(entry.job, state="cancelled")
        self._end(entry)

    def get(self, key: str) -> Job | None:
        """Return one job, None if there is none of that key; QueueError if its record cannot be read."""
        entry = self._records.get(key, is_strict=True)
        return entry.job if entry else None

    def jobs(self) -> list[Job]:
        """Return all jobs on record, newest first; one whose record is damaged is left out."""
        return [entry.job for entry in sorted(self._records.all(), key=lambda entry: entry.serial, reverse=True)]

    def ahead(self, key: str) -> int:
        """Count the jobs that run or wait before a waiting one; 0 for any other."""
        return self.places().get(key, 0)

    def places(self) -> dict[str, int]:
        """Count the jobs that run or wait before each waiting one, by key."""
        waiting, running = self._records.waiting(), self._records.running().values()
        lanes = {job.key: job.lane for job in waiting}
        order = places(waiting, {lane: self._records.turns(lane) for lane in set(lanes.values())})
        return {key: place + sum(lane <= lanes[key] for lane in running) for key, place in order.items()}

    def has_waiting(self, below: int | None = None) -> bool:
        """Whether a job waits, in the lanes with numbers smaller than `below` if that is given."""
        return self._records.has_waiting(_lanes(below))

    def lost(self, worker: str, reason: str, *, killed: bool = False) -> int:
        """Take back the jobs of a worker that has ended; see `Queue`."""
        with self._texts.transaction():
            self.absent(worker)
            lost = self._take_back(lambda entry: entry.worker == worker, reason, killed)
        self._notify(entry.job for entry in lost)
        return len(lost)

    def last_begun(self, worker: str) -> Job | None:
        """Return the job that a worker has begun last among those that it runs, None if it runs none."""
        own = [entry for entry in self._running() if entry.worker == worker]
        return own[-1].job if own else None

    def _running(self) -> list[Entry]:
        """The records of the running jobs, the first claimed first."""
        entries = [self._records.get(key) for key in self._records.running()]
        return [entry for entry in entries if entry and entry.job.state == "running"]

    def sweep_leases(self) -> int:
        """Take back the jobs whose leases ran out.

        If the last sweep was too long ago, this process slept, and perhaps the machine; if it was later than now, the
        clock was set back. Then the workers get time to renew their leases.

        Returns:
            How many jobs were taken back.
        """
        now, before = self._clock.now(), self._last_sweep_s
        self._last_sweep_s = now
        if before is not None and not 0 <= now - before <= LEASE_S / 2:
            return 0
        lost: list[Entry] = []
        if self._records.running():
            with self._texts.transaction():
                reason = f"gave no sign of life for {LEASE_S:g} s"
                lost = self._take_back(lambda entry: not self._clock.is_fresh(entry.lease, LEASE_S), reason, False)
            self._notify(entry.job for entry in lost)
        if self._notifier:
            self._notifier.notify_again(job.key for job in self._records.waiting())
        return len(lost)

    def _take_back(self, is_lost: Callable[[Entry], bool], reason: str, killed: bool) -> list[Entry]:
        """Take jobs back. Only the job that a worker has begun last is to blame: the others had made way for it."""
        running = self._running()
        for key in self._records.running().keys() - {entry.job.key for entry in running}:
            self._records.drop_row("running", key)
        last = {entry.worker: entry.claim for entry in running}
        lost = [entry for entry in running if is_lost(entry)]
        for entry in lost:
            if entry.job.stopping or last[entry.worker] != entry.claim:
                self._give_back(entry)
            elif killed and entry.kills < KILLS:
                entry.kills += 1
                self._give_back(entry)
            elif entry.job.tries >= TRIES:
                times = f"{entry.job.tries} times without getting further" if entry.best else f"{entry.job.tries} times"
                self._fail(entry, ("WorkerLost", f"this job ended its worker {times}; the last time it {reason}"))
            else:
                entry.ticket = self._number()
                self._wait_again(entry)
        return lost

    def risks(self) -> list[str]:
        """Say which settings of the store may lose jobs, and how to change them."""
        return self._texts.risks()

    def close(self) -> None:
        """Close the connections; the next use opens them again."""
        self._texts.close()
        if self._notifier:
            self._notifier.close()

    def _number(self) -> int:
        return self._texts.next_number("number")

    def _owned(self, key: str, owner: str) -> Entry | None:
        entry = self._records.get(key)
        return entry if entry and entry.job.state == "running" and entry.job.owner == owner else None

    def _wait_again(self, entry: Entry) -> None:
        entry.job = replace(entry.job, state="queued", owner=None)
        self._records.keep(entry)

    def _end(self, entry: Entry) -> None:
        entry.over = self._number()
        entry.job = replace(entry.job, owner=None, ended=time.time(), stopping=False, rate=None)
        self._records.keep(entry)
