"""The worker: claims jobs, runs their tasks, and tells the queue how they ended."""

import threading
import time
import traceback
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from lurk.config.queue_address import LOCAL
from lurk.errors import Cancelled, LurkError, Paused
from lurk.jobs.open_queue import open_queue
from lurk.jobs.queue import Job
from lurk.records import JobSpec, canonical
from lurk.storage.disk_space import Space
from lurk.worker.running_job import RunningJob
from lurk.worker.stop_event import StopEvent

BEAT_S = 0.5
POLL_S = 0.05
PRESENT_S = 2.0
MOST_PAUSED = 16
RETRIES_S = (0.2, 1.0, 3.0)

Task = Callable[[JobSpec, RunningJob], dict[str, object] | None]


class Worker:
    """Claims jobs and runs them, one at a time, in the calling thread.

    Args:
        cache: The cache directory.
        task: Runs a job.
        name: The worker's name in the queue.
        floor_bytes: How much must be free on the cache's disk for a job to begin.
        queue: Where the queue is, `local` or the address of a Redis.
    """

    def __init__(
        self, cache: Path, task: Task, *, name: str | None = None, floor_bytes: int = 0, queue: str = LOCAL
    ) -> None:
        self._space = Space(cache, floor_bytes)
        self.cache, self.name = cache, name or uuid.uuid4().hex
        self._task, self._queue = task, open_queue(queue, cache)
        self._running: list[RunningJob] = []
        self._paused: list[RunningJob] = []
        self._lock = threading.Lock()
        self.claims = 0
        self._ending, self._news = StopEvent(), threading.Event()

    def run_next(self, *, below: int | None = None) -> bool:
        """Run the next job, of the lanes `below` if that is given; returns whether there was one, and room for it.

        Of a lane, jobs that wait come first, then paused ones without a draft, then the others; of each the oldest.
        """
        with self._lock:
            if self._ending.is_set():
                return False
            of_lanes = [one for one in self._paused if below is None or one.job.lane < below]
            paused = min(of_lanes, key=lambda one: one.place, default=None)
            running = self._claim(below if paused is None else paused.job.lane + self._may_pause) or paused
            if running is None:
                return False
            if running is paused:
                self._queue.resume(running.job.key, running.owner)
                self._paused.remove(running)
            self._running.append(running)
        try:
            tell_end = self._run(running)
            if tell_end is None:
                self._paused.append(running)
            else:
                self._tell_end(running, tell_end)
        except BaseException:
            if self._ending.is_set():
                self._release(running)
            raise
        finally:
            self._running.remove(running)
        return True

    def _claim(self, below: int | None) -> RunningJob | None:
        """Claim a job that waits; None also if there is no room for what it would make."""
        if self._space.notice:
            return None
        self.claims += 1
        job = self._queue.claim(f"{self.name}/{self.claims}", below=below)
        return None if job is None else RunningJob(job, self.cache, self._queue, self, self._news)

    def _run(self, running: RunningJob) -> Callable[[], None] | None:
        """Run a job's task; returns what tells the queue how it ended, None if it is paused.

        The only place that catches every exception.
        """
        queue, key, owner = self._queue, running.job.key, running.owner
        try:
            running.check()
            result = self._task(running.job.spec, running)
            canonical(result)
        except Paused:
            return None
        except Cancelled:
            return lambda: queue.stopped(key, owner)
        except LurkError as error:
            mistake = (type(error).__name__, str(error))
            return lambda: queue.fail(key, owner, mistake)
        except Exception as error:
            failure, trace = (type(error).__name__, _message(error)), traceback.format_exc()
            return lambda: queue.fail(key, owner, failure, trace)
        return lambda: queue.finish(key, owner, result)

    def _tell_end(self, running: RunningJob, tell: Callable[[], None]) -> None:
        """Tell the queue how a job ended. If it cannot be told, because the disk is full, say, the lease runs out."""
        with suppress(LurkError):
            running.beat()
        for pause_s in RETRIES_S:
            with suppress(LurkError):
                return tell()
            time.sleep(pause_s)
        return None

    def run_urgent(self, job: Job) -> None:
        """Run the jobs of better lanes than a job's, unless another job already gave way to this one."""
        if len(self._running) == 1:
            with suppress(LurkError):  # the queue cannot be used now, for which the job is not to blame
                while self.run_next(below=job.lane):
                    pass

    def is_due(self, running: RunningJob, *, is_seen: bool, is_new_draft: bool) -> bool:
        """Whether another job should run before a job goes on.

        Args:
            running: The job.
            is_seen: Whether jobs of its own lane that wait count too.
            is_new_draft: Whether paused jobs count too, which then go on in the order of their places.

        Returns:
            False also if the queue cannot be used now.
        """
        if is_new_draft and any(one.place < running.place for one in self._paused):
            return True
        with suppress(LurkError):
            return self._queue.has_waiting(below=running.job.lane + (is_seen and self._may_pause))
        return False

    @property
    def _may_pause(self) -> bool:
        """Whether one more job may step aside for another of its lane; each keeps its pictures in memory."""
        return len(self._paused) < MOST_PAUSED

    @property
    def has_paused(self) -> bool:
        """Whether a job is paused here."""
        return bool(self._paused)

    def _held(self) -> tuple[RunningJob, ...]:
        """The jobs that run or are paused here."""
        return (*self._running, *self._paused)

    def beat(self) -> None:
        """Renew the leases of the jobs that this worker holds, and note which are to stop."""
        for running in self._held():
            running.beat()

    def start_beating(self) -> None:
        """Show signs of life from a thread of their own, so that a task may stay long in one call."""
        threading.Thread(target=self._keep_beating, name="heartbeat", daemon=True).start()

    def _keep_beating(self) -> None:
        shown = -PRESENT_S
        while not self._ending.is_set():
            with suppress(LurkError):
                if time.monotonic() - shown >= PRESENT_S:
                    self._queue.present(self.name)
                    shown = time.monotonic()
                self.beat()
            self._news.wait(BEAT_S)
            self._news.clear()

    def work(self) -> None:
        """Claim and run jobs until the worker is to end."""
        try:
            while not self._ending.is_set():
                try:
                    found = self.run_next()
                except LurkError:  # the queue cannot be used now
                    self._ending.wait(1)
                    continue
                if not found:
                    self._ending.wait(POLL_S)
        finally:
            self.give_back()

    @property
    def is_ending(self) -> bool:
        """Whether it takes no more jobs."""
        return self._ending.is_set()

    def busy_s(self) -> float:
        """Seconds since the job that runs here was begun, 0 if none runs."""
        return max((time.monotonic() - running.began for running in tuple(self._running)), default=0.0)

    def cut_short(self) -> None:
        """Stop the jobs that run here at their next report; they wait again, as nobody cancelled them."""
        for running in tuple(self._running):
            running.is_stopped = True

    def end(self) -> None:
        """Take no more jobs; stop the present one if a signal calls this in the thread that runs it."""
        self._ending.set()
        if self._running and threading.current_thread() is threading.main_thread():
            raise SystemExit

    def give_back(self) -> None:
        """Give back the jobs that this worker holds, whose tries then do not count, and leave the queue."""
        self._ending.set()
        with self._lock:
            for running in self._held():
                self._release(running)
        with suppress(LurkError):
            self._queue.absent(self.name)

    def _release(self, running: RunningJob) -> None:
        with suppress(LurkError):
            self._queue.release(running.job.key, running.owner)


def _message(error: Exception) -> str:
    """The message of an exception, or that it has none."""
    if isinstance(error, MemoryError):
        return "there is not enough memory; choose a smaller --batch-size"
    return str(error) or "no message"
