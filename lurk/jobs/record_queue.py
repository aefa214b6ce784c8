"""The queue on this machine: job records as JSON text in a store that several processes share.

Names in the store: `job:<key>` the record, `wait:<lane>:<ticket>` key and people of a waiting job, `over:<number>` the
key of an ended one, in order, `run:<key>` the lane of a running one, `turns:<lane>` who had which turn, `worker:<name>`
a worker's last sign of life.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from lurk.errors import QueueError
from lurk.jobs import waiting_lines
from lurk.jobs.disk_texts import open_texts
from lurk.jobs.heartbeats import Presence
from lurk.jobs.lanes import Lane
from lurk.jobs.queue import Job, Limits
from lurk.jobs.record import Entry
from lurk.jobs.turns import after_turn, check_room, in_turn, places
from lurk.records import JobSpec

LEASE_S = 10.0
TRIES = 3
KILLS = 25
KEPT = 1000


class LocalQueue(Presence):
    """A queue in the cache directory; safe for several processes and threads, and for a kill between any two steps."""

    def __init__(self, cache: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Open the queue of a cache directory.

        Args:
            cache: The cache directory.
            clock: Seconds since the machine was started; steps of the wall clock do no harm to leases.
        """
        super().__init__(open_texts(cache), clock)
        self._swept: float | None = None

    def submit(
        self, spec: JobSpec, lane: int = 0, *, again: bool = False, person: str = "", limits: Limits | None = None
    ) -> Job:
        """Ask for a job in a lane, `again` also where it is done; see `Queue`."""
        if lane not in set(Lane):
            raise ValueError(f"a lane is one of {', '.join(map(str, Lane))}, not {lane}")
        with self._texts.transaction():
            entry = self._entry(spec.key)
            state = entry.job.state if entry else None
            if entry is None or state in ("failed", "cancelled") or (state == "done" and again):
                if limits is not None:
                    check_room(waiting_lines.waiting(self._texts), lane, person, limits)
                return self._begin(Job(spec.key, spec, lane, submitted=time.time(), person=person), entry)
            if state in ("queued", "running"):
                self._join(entry, lane, person)
            return entry.job

    def _join(self, entry: Entry, lane: int, person: str) -> None:
        """Take in that somebody asks for a job that waits or runs; one that was stopping is theirs alone."""
        before, better = entry.job, lane < entry.job.lane
        joined = replace(before, person=person, others=()) if before.stopping else before.joined(person)
        entry.job = replace(joined, lane=min(lane, before.lane), stopping=False)
        if before.state == "queued" and entry.job != before:
            self._texts.drop(waiting_lines.place(before.lane, entry.ticket))
            self._enqueue(entry, self._number() if better else entry.ticket)
        elif entry.job != before:
            self._texts.put(f"run:{before.key}", str(entry.job.lane))
            self._keep(entry)

    def _begin(self, job: Job, before: Entry | None) -> Job:
        if before is not None:
            self._texts.drop(_over(before))
        number = self._number()
        entry = Entry(job, serial=number)
        self._enqueue(entry, number)
        return entry.job

    def claim(self, owner: str, *, below: int | None = None) -> Job | None:
        """Take the next job of the lanes `below`; `owner` is the worker's name, a slash and a number; see `Queue`."""
        lanes = range(len(Lane) if below is None else below)
        if not self._texts.span("wait:0", f"wait:{len(lanes)}", 1):
            return None
        with self._texts.transaction():
            for lane in lanes:
                turns = waiting_lines.turns(self._texts, lane)
                for waiting, person in in_turn(waiting_lines.waiting(self._texts, lane, lane + 1), turns):
                    self._texts.drop(waiting_lines.place(lane, waiting.ticket))
                    entry = self._entry(waiting.key)
                    if entry and entry.job.state == "queued":
                        return self._claimed(entry, owner, after_turn(turns, person, self._number()))
        return None

    def _claimed(self, entry: Entry, owner: str, turns: dict[str, int]) -> Job:
        job = replace(entry.job, state="running", owner=owner, tries=entry.job.tries + 1, started=time.time())
        entry.job = replace(job, done=0, total=0, note="", rate=None, stopping=False)
        entry.claim, entry.lease = self._number(), self._lease()
        self._texts.put(f"run:{job.key}", str(job.lane))
        waiting_lines.keep_turns(self._texts, job.lane, turns)
        self._keep(entry)
        return entry.job

    def beat(self, key: str, owner: str, done: int, total: int, note: str = "", rate: float | None = None) -> bool:
        """Renew a lease and tell the progress; False when the job is to stop or is not the owner's; see `Queue`."""
        with self._texts.transaction():
            entry = self._owned(key, owner)
            if entry is None:
                return False
            entry.advance(done, total, note, rate)
            entry.lease = self._lease()
            self._keep(entry)
            return not entry.job.stopping

    def finish(self, key: str, owner: str, result: dict[str, object] | None) -> None:
        """End a job well; nothing happens when it is no longer the owner's."""
        with self._texts.transaction():
            entry = self._owned(key, owner)
            if entry:
                entry.job = replace(entry.job, state="done", result=result, note="", done=entry.job.total)
                self._end(entry)

    def fail(self, key: str, owner: str, error: tuple[str, str], traceback: str | None = None) -> None:
        """End a job with its error; nothing happens when it is no longer the owner's."""
        with self._texts.transaction():
            entry = self._owned(key, owner)
            if entry:
                self._failed(entry, error, traceback)

    def _failed(self, entry: Entry, error: tuple[str, str], traceback: str | None = None) -> None:
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

    def _give_back(self, entry: Entry) -> None:
        if entry.job.stopping:
            entry.job = replace(entry.job, state="cancelled")
            self._end(entry)
        else:
            entry.job = replace(entry.job, tries=entry.job.tries - 1)
            self._enqueue(entry, entry.ticket)

    def cancel(self, key: str, person: str | None = None) -> Job | None:
        """Take a waiting job out, ask a running one to stop, unless somebody but the `person` wants it; see `Queue`."""
        with self._texts.transaction():
            entry = self._entry(key)
            if entry is None:
                return None
            left = None if person is None else entry.job.left(person)
            if left and entry.job.state in ("queued", "running"):
                entry.job = left
                if left.state == "queued":
                    self._texts.put(waiting_lines.place(entry.job.lane, entry.ticket), waiting_lines.told(left))
                self._keep(entry)
            elif entry.job.state == "queued":
                self._texts.drop(waiting_lines.place(entry.job.lane, entry.ticket))
                entry.job = replace(entry.job, state="cancelled")
                self._end(entry)
            elif entry.job.state == "running":
                entry.job = replace(entry.job, stopping=True)
                self._keep(entry)
            return entry.job

    def get(self, key: str) -> Job | None:
        """One job, None when there is none of that key; QueueError when its record cannot be read."""
        text = self._texts.get(f"job:{key}")
        if text is None:
            return None
        entry = Entry.read(text)
        if entry is None:
            raise QueueError(f"the record of job {key} is damaged; ask for the job again")
        return entry.job

    def jobs(self) -> list[Job]:
        """All jobs on record, newest first; one whose record is damaged is left out."""
        entries = [Entry.read(text) for _, text in self._texts.span("job:", "job;")]
        found = [entry for entry in entries if entry]
        return [entry.job for entry in sorted(found, key=lambda entry: entry.serial, reverse=True)]

    def ahead(self, key: str) -> int:
        """How many jobs run or wait before a waiting one; 0 for any other."""
        entry = self._entry(key)
        if entry is None or entry.job.state != "queued":
            return 0
        return self.places().get(key, 0)

    def places(self) -> dict[str, int]:
        """How many jobs run or wait before each waiting one, by key."""
        waiting = waiting_lines.waiting(self._texts)
        running = [int(lane) for _, lane in self._texts.span("run:", "run;")]
        lanes = {job.key: job.lane for job in waiting}
        order = places(waiting, {lane: waiting_lines.turns(self._texts, lane) for lane in set(lanes.values())})
        return {key: place + sum(lane <= lanes[key] for lane in running) for key, place in order.items()}

    def lost(self, worker: str, reason: str, *, killed: bool = False) -> int:
        """Take back the jobs of a worker that has ended.

        Args:
            worker: Its name.
            reason: How it ended, in words that follow "the worker".
            killed: Whether somebody else seems to have killed it, so that the job is not to blame, within reason.

        Returns:
            How many jobs it held.
        """
        with self._texts.transaction():
            self._texts.drop(f"worker:{worker}")
            return self._take_back(lambda entry: entry.worker == worker, reason, killed)

    def risks(self) -> list[str]:
        """What about the store may lose jobs, and how to mend that: nothing, on a disk of this machine."""
        return []

    def last_begun(self, worker: str) -> Job | None:
        """The job that a worker has begun last among those that it runs, None where it runs none."""
        entries = [self._entry(name.removeprefix("run:")) for name, _ in self._texts.span("run:", "run;")]
        own = [entry for entry in entries if entry and entry.worker == worker and entry.job.state == "running"]
        return max(own, key=lambda entry: entry.claim).job if own else None

    def sweep_leases(self) -> int:
        """Take back the jobs whose leases ran out; a sweeper that itself slept first gives the workers time to beat."""
        now, before = self._clock(), self._swept
        self._swept = now
        if before is not None and now - before > LEASE_S / 2:
            return 0
        self._forget_silent()
        if not self._texts.span("run:", "run;", 1):
            return 0
        with self._texts.transaction():
            reason = f"gave no sign of life for {LEASE_S:g} s"
            return self._take_back(lambda entry: not self._is_fresh(entry.lease, LEASE_S), reason, False)

    def _take_back(self, is_lost: Callable[[Entry], bool], reason: str, killed: bool) -> int:
        """Only the job that a worker had begun last is to blame: the others had made way for it."""
        names = [name for name, _ in self._texts.span("run:", "run;")]
        running = [(name, self._entry(name.removeprefix("run:"))) for name in names]
        for name, entry in running:
            if entry is None or entry.job.state != "running":
                self._texts.drop(name)
        entries = [entry for _, entry in running if entry and entry.job.state == "running"]
        last = {entry.worker: entry.claim for entry in sorted(entries, key=lambda entry: entry.claim)}
        lost = [entry for entry in entries if is_lost(entry)]
        for entry in lost:
            if entry.job.stopping or last[entry.worker] != entry.claim:
                self._give_back(entry)
            elif killed and entry.kills < KILLS:
                entry.kills += 1
                self._give_back(entry)
            elif entry.job.tries >= TRIES:
                times = f"{entry.job.tries} times without getting further" if entry.best else f"{entry.job.tries} times"
                self._failed(entry, ("WorkerLost", f"this job ended its worker {times}; the last time it {reason}"))
            else:
                self._enqueue(entry, self._number())
        return len(lost)

    def _number(self) -> int:
        return self._texts.next_number("number")

    def _entry(self, key: str) -> Entry | None:
        text = self._texts.get(f"job:{key}")
        return None if text is None else Entry.read(text)

    def _owned(self, key: str, owner: str) -> Entry | None:
        entry = self._entry(key)
        return entry if entry and entry.job.state == "running" and entry.job.owner == owner else None

    def _keep(self, entry: Entry) -> None:
        self._texts.put(f"job:{entry.job.key}", entry.text())

    def _enqueue(self, entry: Entry, ticket: int) -> None:
        entry.ticket = ticket
        entry.job = replace(entry.job, state="queued", owner=None)
        self._texts.drop(f"run:{entry.job.key}")
        self._texts.put(waiting_lines.place(entry.job.lane, entry.ticket), waiting_lines.told(entry.job))
        self._keep(entry)

    def _end(self, entry: Entry) -> None:
        """Keep an ended job, and forget the oldest when there are too many."""
        entry.over = self._number()
        entry.job = replace(entry.job, owner=None, ended=time.time(), stopping=False, rate=None)
        self._texts.drop(f"run:{entry.job.key}")
        self._texts.put(_over(entry), entry.job.key)
        self._keep(entry)
        too_many = max(0, self._texts.count("over:", "over;") - KEPT)
        for name, key in self._texts.span("over:", "over;", too_many):
            self._texts.drop(name)
            self._texts.drop(f"job:{key}")


def _over(entry: Entry) -> str:
    return f"over:{entry.over:015d}"
