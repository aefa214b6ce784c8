"""A job that a worker runs: what its task is given, and what the heartbeat tells the queue of it."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from lurk.errors import Cancelled
from lurk.jobs.queue import Job, Queue


class RunningJob:
    """A claimed job, its progress, and whether it is to stop; the task's thread and the heartbeat share it.

    Args:
        job: The job.
        cache: The cache directory.
        queue: The queue, in which the task may submit more jobs.
        run_urgent: Runs the waiting jobs of better lanes than the job's.
        news: Set when the heartbeat should tell the queue of the progress at once.
    """

    def __init__(
        self, job: Job, cache: Path, queue: Queue, run_urgent: Callable[[Job], None], news: threading.Event
    ) -> None:
        self.job, self.owner, self.cache, self.queue = job, job.owner or "", cache, queue
        self._run_urgent, self._news = run_urgent, news
        self.progress: tuple[int, int, str, float | None] = (0, 0, "", None)
        self.is_stopped = False
        self.began = time.monotonic()

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
        self._check()

    def give_way(self) -> None:
        """Run the waiting jobs of better lanes now; does nothing in a job that another one gave way to.

        Raises:
            Cancelled: The job is to stop.
        """
        self._run_urgent(self.job)
        self._check()

    def _check(self) -> None:
        if self.is_stopped:
            raise Cancelled

    def beat(self) -> None:
        """Renew the lease, and note whether the job is to stop."""
        if not self.queue.beat(self.job.key, self.owner, *self.progress):
            self.is_stopped = True
