"""The process that claims jobs and runs tasks, the model kept warm; it ends when its parent does.

`supervisor` starts `python -m lurk.worker.worker --cache DIR` and holds the other end of its standard input.
"""

import argparse
import importlib
import os
import signal
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from lurk.config.queue_address import LOCAL, QUEUE_VARIABLE
from lurk.errors import Cancelled, LurkError
from lurk.jobs.open_queue import open_queue, share_counts
from lurk.jobs.queue import Job, Queue
from lurk.logs import configure
from lurk.records import JobSpec, canonical
from lurk.storage.disk_space import Space
from lurk.worker.job_log import told
from lurk.worker.memory import keep_freed_memory

BEAT_S = 0.5
POLL_S = 0.1
PRESENT_S = 2.0
NICENESS = 5
LAST_WORDS_S = 3.0
TASKS = "lurk.worker.tasks:run"

Task = Callable[[JobSpec, "Context"], dict[str, object] | None]


class Context:
    """What a worker gives to a task: where results go, who hears of the progress, and when to make way."""

    def __init__(self, cache: Path, held: "_Held", give_way: Callable[[Job], None], queue: Queue) -> None:
        self.cache, self.queue = cache, queue
        self._held, self._give_way = held, give_way

    def report(self, done: int, total: int, note: str = "", rate: float | None = None) -> None:
        """Tell the progress; cheap, so call it for each batch.

        Args:
            done: Steps done.
            total: Steps in all, 0 while that is not known.
            note: What the task is at, in words.
            rate: Steps a second.

        Raises:
            Cancelled: The job is to stop.
        """
        held = self._held
        is_first = done > 0 and not held.progress[0]
        held.progress = (int(done), int(total), str(note), None if rate is None else float(rate))
        if is_first:  # that a job got somewhere decides whether its tries count, so it is told at once
            held.news.set()
        if held.is_stopped:
            raise Cancelled

    def give_way(self) -> None:
        """Run the waiting jobs of better lanes now; nothing happens within a job that was itself let through.

        Raises:
            Cancelled: The job is to stop.
        """
        self._give_way(self._held.job)
        if self._held.is_stopped:
            raise Cancelled


class _Held:
    """A job that this process runs, its progress, and whether it is to stop; shared with the heartbeat."""

    def __init__(self, job: Job, news: threading.Event) -> None:
        self.job, self.owner, self.news = job, job.owner or "", news
        self.progress: tuple[int, int, str, float | None] = (0, 0, "", None)
        self.is_stopped = False
        self.began = time.monotonic()


class Worker:
    """Claims jobs and runs them, one at a time, in the calling thread.

    Args:
        cache: The cache directory.
        task: What runs a job.
        name: The worker's name in the queue.
        floor_bytes: What must be free on the cache's disk for a job to begin.
        queue: Where the queue lies, `local` or the address of a Redis.
    """

    def __init__(
        self, cache: Path, task: Task, *, name: str | None = None, floor_bytes: int = 0, queue: str = LOCAL
    ) -> None:
        self._space = Space(cache, floor_bytes)
        self.cache, self.name = cache, name or uuid.uuid4().hex
        self._task, self._where, self._queue = task, queue, open_queue(queue, cache)
        self._held: list[_Held] = []
        self._lock = threading.Lock()
        self.claims = 0
        self._ending, self._news = threading.Event(), threading.Event()

    def once(self, *, below: int | None = None) -> bool:
        """Run the next job, of the lanes `below` where that is given; whether there was one, and room for it."""
        with self._lock:
            if self._ending.is_set() or self._space.notice:
                return False
            self.claims += 1
            job = self._queue.claim(f"{self.name}/{self.claims}", below=below)
            if job is None:
                return False
            held = _Held(job, self._news)
            self._held.append(held)
        try:
            self._settle(held, self._run(held))
        except BaseException:
            if self._ending.is_set():
                self._release(held)
            raise
        finally:
            self._held.remove(held)
        return True

    def _run(self, held: _Held) -> Callable[[], None]:
        """Run a job's task; returns what tells the queue how it ended. The one place that catches every exception."""
        queue, key, owner = self._queue, held.job.key, held.owner
        try:
            result = self._task(held.job.spec, Context(self.cache, held, self._let_through, queue))
            canonical(result)
        except Cancelled:
            return lambda: queue.stopped(key, owner)
        except LurkError as error:
            told = (type(error).__name__, str(error))
            return lambda: queue.fail(key, owner, told)
        except Exception as error:
            told, trace = (type(error).__name__, _message(error)), traceback.format_exc()
            return lambda: queue.fail(key, owner, told, trace)
        return lambda: queue.finish(key, owner, result)

    def _settle(self, held: _Held, tell: Callable[[], None]) -> None:
        """Tell the queue how a job ended; where it cannot be told, as on a full disk, the lease runs out."""
        with suppress(LurkError):
            self._queue.beat(held.job.key, held.owner, *held.progress)
        for pause_s in (0.2, 1.0, 3.0):
            with suppress(LurkError):
                return tell()
            time.sleep(pause_s)
        return None

    def _let_through(self, job: Job) -> None:
        if len(self._held) == 1:
            with suppress(LurkError):  # the queue cannot be used just now, which is no fault of the job
                while self.once(below=job.lane):
                    pass

    def beat(self) -> None:
        """Renew the leases of the jobs that run here and hear which are to stop."""
        for held in tuple(self._held):
            if not self._queue.beat(held.job.key, held.owner, *held.progress):
                held.is_stopped = True

    def start_beating(self) -> None:
        """Show signs of life from a thread of their own, so that a task may be long in one call."""
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

    def work(self) -> int:
        """Claim and run jobs until told to end; returns the exit status."""
        if self._where != LOCAL:
            from lurk.worker.celery_worker import run_by_messages

            return run_by_messages(self, self._where)
        try:
            while not self._ending.is_set():
                try:
                    found = self.once()
                except LurkError:  # the queue cannot be used just now
                    self._ending.wait(1)
                    continue
                if not found:
                    self._ending.wait(POLL_S)
        finally:
            self.give_back()
        return 0

    @property
    def is_ending(self) -> bool:
        """Whether it takes no more jobs."""
        return self._ending.is_set()

    def busy_s(self) -> float:
        """Seconds since the job that runs here was begun, 0 where none does."""
        return max((time.monotonic() - held.began for held in tuple(self._held)), default=0.0)

    def cut_short(self) -> None:
        """Give the jobs that run here back at their next report, though nobody cancelled them."""
        for held in tuple(self._held):
            held.is_stopped = True

    def end(self) -> None:
        """Take no more jobs, and cut the present one short when called by a signal in the thread that runs it."""
        self._ending.set()
        if self._held and threading.current_thread() is threading.main_thread():
            raise SystemExit

    def give_back(self) -> None:
        """Give the jobs back that run here, and leave; a try that was cut short so does not count."""
        self._ending.set()
        with self._lock:
            for held in tuple(self._held):
                self._release(held)
        with suppress(LurkError):
            self._queue.absent(self.name)

    def _release(self, held: _Held) -> None:
        with suppress(LurkError):
            self._queue.release(held.job.key, held.owner)


def _message(error: Exception) -> str:
    """What an exception says, or that it says nothing."""
    if isinstance(error, MemoryError):
        return "there is not enough memory; choose a smaller --batch-size"
    return str(error) or "no message"


def run(
    cache: Path,
    *,
    tasks: Task | str = TASKS,
    name: str | None = None,
    with_parent: bool = False,
    floor_bytes: int = 0,
    queue: str = LOCAL,
) -> int:
    """Claim and run jobs until the process is told to end.

    Args:
        cache: The cache directory.
        tasks: What runs a job, or its `module:function`.
        name: The worker's name in the queue.
        with_parent: Whether to end when standard input does.
        floor_bytes: What must be free on the cache's disk for a job to begin.
        queue: Where the queue lies, `local` or the address of a Redis.

    Returns:
        Exit status.
    """
    share_counts(queue, cache)
    task = told(_task_of(tasks) if isinstance(tasks, str) else tasks)
    worker = Worker(cache, task, name=name, floor_bytes=floor_bytes, queue=queue)
    if with_parent:
        _end_with_input(worker)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda _number, _frame: worker.end())
    sys.addaudithook(_own_up)
    worker.start_beating()
    if isinstance(tasks, str):
        with suppress(ImportError, OSError):  # loaded before a job is held; what is wrong with it, the first job tells
            importlib.import_module(tasks.partition(":")[0])
    return worker.work()


def _end_with_input(worker: Worker) -> None:
    """End this process as soon as its standard input ends, as it does when the parent is gone, however it went."""
    pipe = os.dup(0)
    with open(os.devnull) as nothing:  # noqa: PTH123 - a device
        os.dup2(nothing.fileno(), 0)

    def watch() -> None:
        while os.read(pipe, 4096):
            pass
        last = threading.Timer(LAST_WORDS_S, end_family)
        last.daemon = True
        last.start()
        worker.give_back()
        end_family()

    threading.Thread(target=watch, name="parent", daemon=True).start()


def _own_up(event: str, arguments: tuple[object, ...]) -> None:
    """Turn a kill that a task gives its own process into an exit, so that somebody else's kill can be told from it."""
    if event == "os.kill" and arguments == (os.getpid(), signal.SIGKILL):
        os._exit(128 + signal.SIGKILL)


def end_family() -> None:
    """End this process at once, and with it what it has started, where it leads a process group of its own."""
    if os.name == "posix" and os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(0)


def _task_of(source: str) -> Task:
    """Give the task that `module:function` names; its module is imported when it first runs, within the job."""
    module, _, name = source.partition(":")

    def task(spec: JobSpec, context: Context) -> dict[str, object] | None:
        found: dict[str, object] | None = getattr(importlib.import_module(module), name)(spec, context)
        return found

    return task


def main(arguments: Sequence[str]) -> int:
    """Run a worker from the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="lurk.worker.worker", description="Claim and run the jobs of a cache.")
    parser.add_argument("--cache", type=Path, required=True, help="the cache directory")
    parser.add_argument("--name", help="the worker's name in the queue")
    parser.add_argument("--tasks", default=TASKS, metavar="MODULE:FUNCTION", help="what runs a job")
    parser.add_argument("--with-parent", action="store_true", help="end when standard input does")
    parser.add_argument("--floor-bytes", type=int, default=0, help="what must be free for a job to begin")
    given = parser.parse_args(arguments)
    configure("worker")
    keep_freed_memory()
    if os.name == "posix":
        os.nice(NICENESS)
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        return run(**vars(given), queue=os.environ.get(QUEUE_VARIABLE) or LOCAL)
    except LurkError as error:
        print("lurk:", error, file=sys.stderr)  # noqa: T201 - the one line of a user's mistake
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
