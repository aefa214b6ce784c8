"""The process of a worker. `supervisor` starts it, and the end of its standard input tells it to end.

python -m lurk.worker.worker_process --cache DIR
"""

import argparse
import importlib
import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from lurk.config.logs import configure
from lurk.config.queue_address import LOCAL, QUEUE_VARIABLE
from lurk.errors import LurkError
from lurk.jobs.open_queue import share_counts
from lurk.records import JobSpec
from lurk.worker.job_log import logged
from lurk.worker.memory import keep_freed_memory
from lurk.worker.running_job import RunningJob
from lurk.worker.subprocesses import end_process_group
from lurk.worker.worker import Task, Worker

NICENESS = 5
GIVE_BACK_S = 3.0
TASKS = "lurk.worker.tasks:run"


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
        tasks: Runs a job; a function, or its `module:function`.
        name: The worker's name in the queue.
        with_parent: Whether to end when standard input does.
        floor_bytes: How much must be free on the cache's disk for a job to begin.
        queue: Where the queue is, `local` or the address of a Redis.

    Returns:
        Exit status.
    """
    share_counts(queue, cache)
    task = logged(_task_of(tasks) if isinstance(tasks, str) else tasks)
    worker = Worker(cache, task, name=name, floor_bytes=floor_bytes, queue=queue)
    if with_parent:
        _end_with_input(worker)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda _number, _frame: worker.end())
    sys.addaudithook(_exit_instead)
    worker.start_beating()
    if isinstance(tasks, str):
        with suppress(ImportError, OSError):  # loaded before a job is claimed; the first job reports what is wrong
            importlib.import_module(tasks.partition(":")[0])
    if queue == LOCAL:
        worker.work()
        return 0
    from lurk.worker.celery_worker import run_by_messages

    return run_by_messages(worker, queue)


def _end_with_input(worker: Worker) -> None:
    """End this process as soon as its standard input ends, which happens however the parent ends."""
    pipe = os.dup(0)
    with open(os.devnull) as nothing:  # noqa: PTH123 - a device
        os.dup2(nothing.fileno(), 0)

    def watch() -> None:
        while os.read(pipe, 4096):
            pass
        limit = threading.Timer(GIVE_BACK_S, end_process_group)
        limit.daemon = True
        limit.start()
        worker.give_back()
        end_process_group()

    threading.Thread(target=watch, name="parent", daemon=True).start()


def _exit_instead(event: str, arguments: tuple[object, ...]) -> None:
    """Turn a kill that a task gives its own process into an exit: other kills do not count as the job's fault."""
    if event == "os.kill" and arguments == (os.getpid(), signal.SIGKILL):
        os._exit(128 + signal.SIGKILL)


def _task_of(source: str) -> Task:
    """Find the task that `module:function` names; its module is imported when the task first runs, within a job."""
    module, _, name = source.partition(":")

    def task(spec: JobSpec, context: RunningJob) -> dict[str, object] | None:
        found: dict[str, object] | None = getattr(importlib.import_module(module), name)(spec, context)
        return found

    return task


def main(arguments: Sequence[str]) -> int:
    """Run a worker from the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="lurk.worker.worker_process", description="Run the jobs of a cache.")
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
