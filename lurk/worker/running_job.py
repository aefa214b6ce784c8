"""A job that a worker runs: what its task is given, and what the heartbeat tells the queue of it."""

import threading
import time
from pathlib import Path
from typing import Any, Protocol

from lurk.errors import Cancelled, Paused
from lurk.jobs.queue import Job, Queue


class Others(Protocol):
    """What a running job asks its worker about other jobs."""

    def run_urgent(self, job: Job) -> None:
        """Run the jobs of better lanes than a job's."""

    def is_due(self, running: "RunningJob", *, is_seen: bool, is_new_draft: bool) -> bool:
        """Whether another job should run before a job goes on."""


class RunningJob:
    """A claimed job, its progress, and whether it is to stop; the task's thread and the heartbeat share it.

    Args:
        job: The job.
        cache: The cache directory.
        queue: The queue, in which the task may submit more jobs.
        others: Knows of the other jobs: those that wait, and those that the worker has paused.
        news: Set when the heartbeat should tell the queue of the progress at once.
    """

    def __init__(self, job: Job, cache: Path, queue: Queue, others: Others, news: threading.Event) -> None:
        self.job, self.owner, self.cache, self.queue = job, job.owner or "", cache, queue
        self._others, self._news = others, news
        self.has_draft = False
        self.kept: dict[str, Any] = {}
        self.progress: tuple[int, int, str, float | None] = (0, 0, "", None)
        self.is_stopped = False
        self.began = time.monotonic()

    @property
    def place(self) -> tuple[int, bool, float]:
        """Its place among paused jobs, the smallest goes on first: by lane, those without a draft before the others."""
        return self.job.lane, self.has_draft, self.began

    def report(self, done: int, total: int, note: str = "", rate: float | None = None) -> None:
        """Report the progress; cheap, so call it for each batch.

        Args:
            done: Steps done.
            total: Steps in all, 0 while that is not known.
            note: What the task is doing, in words.
            rate: Steps a second.

        Raises:
            Cancelled: The job is to stop.
        """
        is_first = done > 0 and not self.progress[0]
        self.progress = (int(done), int(total), str(note), None if rate is None else float(rate))
        if is_first:  # the first step decides whether a try counts
            self._news.set()
        self.check()

    def give_way(self) -> None:
        """Run the jobs of better lanes now; does nothing in a job that another one gave way to.

        Raises:
            Cancelled: The job is to stop.
        """
        self._others.run_urgent(self.job)
        self.check()

    def step_aside(self, *, is_seen: bool, is_draft: bool) -> None:
        """End the job for now if another one should run first; the worker goes on with it later, with what it has kept.

        Every job gets as far as a draft before those that have one are completed, the oldest first.

        Args:
            is_seen: Whether there is something to see of it, so that jobs of its own lane may run now.
            is_draft: Whether what there is to see is a draft.

        Raises:
            Paused: Another job should run first.
        """
        is_new_draft = is_draft and not self.has_draft
        self.has_draft = is_draft
        if self._others.is_due(self, is_seen=is_seen, is_new_draft=is_new_draft):
            raise Paused

    def check(self) -> None:
        """Raise Cancelled if the job is to stop."""
        if self.is_stopped:
            raise Cancelled

    def beat(self) -> None:
        """Renew the lease, and note whether the job is to stop."""
        if not self.queue.beat(self.job.key, self.owner, *self.progress):
            self.is_stopped = True
