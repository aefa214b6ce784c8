"""The supervisor: a process that keeps the workers of a cache alive, and takes back the jobs of those that ended.

The command `serve` starts `python -m lurk.worker.supervisor --cache DIR --with-parent`, which ends when its standard
input does. Whichever of the server, the supervisor and the worker is killed, the processes below it end, and no job is
lost.
"""

import argparse
import logging
import os
import sys
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from lurk.config.gpus import GPU_VARIABLE
from lurk.config.logs import configure, event
from lurk.config.queue_address import LOCAL, QUEUE_VARIABLE
from lurk.errors import LurkError
from lurk.jobs.open_queue import open_queue
from lurk.jobs.queue import Queue
from lurk.storage.disk_space import keep_reserve
from lurk.worker.stop_event import StopEvent
from lurk.worker.subprocesses import GRACE_S, KILLED, RestartingProcess, how_it_ended

WATCH_S = 0.1
SWEEP_S = 1.0
HUNG_S = 60.0
STUCK_S = 600.0
PATIENCE = {"sweep": 3}  # reads all the user's files before its first step
RESERVE_S = 30.0


class _WorkerSlot:
    """The place of one worker: when a worker ends, the next one takes its place under another name."""

    def __init__(
        self, queue: Queue, arguments: Sequence[str], stuck_s: float = STUCK_S, where: str = LOCAL, number: int = 0
    ) -> None:
        self._queue, self._arguments, self._stuck_s = queue, arguments, stuck_s
        self._process = RestartingProcess(queue=where, variables={GPU_VARIABLE: str(number)})
        self._renew()

    def _renew(self) -> None:
        self._name, self._memory_kills = uuid.uuid4().hex, memory_kills()
        self._seen: object = None
        self._moved = time.monotonic()

    def watch(self) -> None:
        """Start a worker if none runs; take back the jobs of one that has ended."""
        arguments = (*self._arguments, "--name", self._name, "--with-parent")
        code = self._process.ensure("lurk.worker.worker_process", *arguments)
        if code is not None:
            killed = code == -KILLED and memory_kills() == self._memory_kills
            event("worker ended", level=logging.WARNING if code else logging.INFO, how=how_it_ended(code))
            with suppress(LurkError):  # if this fails, the leases run out
                self._queue.lost(self._name, how_it_ended(code), killed=killed)
            self._renew()

    def end_if_hung(self) -> None:
        """End a worker that gave no sign of life for long; the next `watch` starts another."""
        if self._queue.silence_s(self._name) > HUNG_S:
            self._end(f"gave no sign of life for {HUNG_S:g} s")

    def end_if_stuck(self) -> None:
        """End a worker if the job that it began last has made no progress for too long."""
        job = self._queue.last_begun(self._name)
        seen = job and (job.key, job.owner, job.done, job.total, job.note)
        if job is None or seen != self._seen:
            self._seen, self._moved = seen, time.monotonic()
            return
        limit_s = self._stuck_s * PATIENCE.get(job.spec.kind, 1)
        if time.monotonic() - self._moved > limit_s:
            self._end(f"made no progress for {limit_s:g} s; --stuck-after says how long it may")

    def _end(self, reason: str) -> None:
        """End the worker. Its jobs are taken back before, so that this end is their fault and not that of a kill."""
        self._queue.lost(self._name, reason)
        self._process.kill()

    def stop(self) -> None:
        """End the worker; its jobs wait again."""
        self._process.stop()
        with suppress(LurkError):
            self._queue.lost(self._name, "was stopped", killed=True)


def memory_kills() -> int:
    """How many processes the system has killed so far because memory ran out; 0 if that is unknown."""
    try:
        counts = dict(line.split() for line in Path("/proc/vmstat").read_text().splitlines())
        return int(counts.get("oom_kill", 0))
    except (OSError, ValueError):
        return 0


def run(  # noqa: PLR0913 - the options of the command line
    cache: Path,
    *,
    workers: int = 1,
    with_parent: bool = False,
    tasks: str | None = None,
    floor_bytes: int = 0,
    stuck_s: float = STUCK_S,
    queue: str = LOCAL,
) -> None:
    """Keep workers alive until told to end by a signal, or by the end of standard input.

    Args:
        cache: The cache directory.
        workers: How many, each with the GPU of its number; with 0, it only takes lost jobs back.
        with_parent: Whether to end when standard input does.
        tasks: The `module:function` that runs a job; by default that of the worker.
        floor_bytes: How much must be free on the cache's disk for a job to begin.
        stuck_s: Seconds without progress after which a job is ended; a sweep has three times as many.
        queue: Where the queue is, `local` or the address of a Redis.
    """
    over = StopEvent()
    if with_parent:
        threading.Thread(target=_set_at_end_of_input, args=(over,), name="parent", daemon=True).start()
    if threading.current_thread() is threading.main_thread():
        over.set_on_signals()
    jobs = open_queue(queue, cache)
    arguments = ["--cache", str(cache), "--floor-bytes", str(floor_bytes), *(["--tasks", tasks] if tasks else [])]
    slots = [_WorkerSlot(jobs, arguments, stuck_s, queue, number) for number in range(workers)]
    try:
        _watch(jobs, slots, over, lambda: keep_reserve(cache, floor_bytes))
    finally:
        ends = [threading.Thread(target=slot.stop) for slot in slots]
        for end in ends:
            end.start()
        for end in ends:
            end.join()


def _watch(queue: Queue, slots: Sequence[_WorkerSlot], over: StopEvent, keep_space: Callable[[], object]) -> None:
    due = reserve_due = 0.0
    while not over.wait(WATCH_S):
        for slot in slots:
            slot.watch()
        if time.monotonic() >= due:
            due = time.monotonic() + SWEEP_S
            with suppress(LurkError):  # the queue cannot be used now
                queue.sweep_leases()
                for slot in slots:
                    slot.end_if_hung()
                    slot.end_if_stuck()
        if time.monotonic() >= reserve_due:
            reserve_due = time.monotonic() + RESERVE_S
            keep_space()


def _set_at_end_of_input(over: StopEvent) -> None:
    while os.read(0, 4096):
        pass
    over.set()


class Supervisor:
    """Keeps the supervisor process of a cache alive; also a context manager that ends it.

    >>> with Supervisor(Path("cache")):  # doctest: +SKIP
    ...     serve()
    """

    def __init__(
        self,
        cache: Path,
        *,
        workers: int = 1,
        tasks: str | None = None,
        floor_bytes: int = 0,
        stuck_s: float = STUCK_S,
        queue: str = LOCAL,
    ) -> None:
        """Prepare; nothing is started yet.

        Args:
            cache: The cache directory.
            workers: How many workers.
            tasks: The `module:function` that runs a job; by default that of the worker.
            floor_bytes: How much must be free on the cache's disk for a job to begin.
            stuck_s: Seconds without progress after which a job is ended; a sweep has three times as many.
            queue: Where the queue is, `local` or the address of a Redis.
        """
        self._arguments = ["--cache", str(cache), "--workers", str(workers), "--with-parent"]
        self._arguments += ["--floor-bytes", str(floor_bytes), "--stuck-s", str(stuck_s)]
        self._arguments += ["--tasks", tasks] if tasks else []
        self._process, self._over = RestartingProcess(2 * GRACE_S, queue=queue), threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> Self:
        """Start the process and the thread that starts it again; a second call does nothing."""
        if self._thread is None:
            self._over.clear()
            self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
            self._thread.start()
        return self

    def _watch(self) -> None:
        while True:
            self._process.ensure("lurk.worker.supervisor", *self._arguments)
            if self._over.wait(WATCH_S):
                break
        self._process.stop()

    def stop(self) -> None:
        """End supervisor and workers; returns when they are gone. A second call does nothing."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="lurk.worker.supervisor", description="Keep the workers of a cache alive.")
    parser.add_argument("--cache", type=Path, required=True, help="the cache directory")
    parser.add_argument("--workers", type=int, default=1, help="how many workers")
    parser.add_argument("--tasks", metavar="MODULE:FUNCTION", help="what runs a job")
    parser.add_argument("--with-parent", action="store_true", help="end when standard input does")
    parser.add_argument("--floor-bytes", type=int, default=0, help="what must be free for a job to begin")
    parser.add_argument("--stuck-s", type=float, default=STUCK_S, help="seconds without progress that a job may take")
    configure("supervisor")
    try:
        run(**vars(parser.parse_args(arguments)), queue=os.environ.get(QUEUE_VARIABLE) or LOCAL)
    except LurkError as error:
        print("lurk:", error, file=sys.stderr)  # noqa: T201 - the one line of a user's mistake
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
