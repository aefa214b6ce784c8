"""A worker that learns of jobs by Celery's messages, if the queue is in a Redis.

Celery runs its task in the worker's only thread (pool `solo`), so it forks no process; all processes are started by the
supervisor. That pool has no time limit, so a thread here enforces one. A job that has run for long is asked to stop and
goes on later from where it was; a job that does not stop counts as lost.
"""

import threading
import time
from contextlib import suppress

from celery.worker import WorkController

from lurk.errors import LurkError
from lurk.jobs.celery_queue import GRACE_S, MESSAGES, TASK, TIME_LIMIT_S, celery_app, open_celery_queue
from lurk.jobs.queue import Queue
from lurk.worker.subprocesses import end_process_group
from lurk.worker.worker import Worker

WATCH_S = 1.0
UNHEARD_S = 20.0


def run_by_messages(worker: Worker, url: str) -> int:
    """Run a job for each message until the process is told to end.

    Args:
        worker: Claims and runs the jobs.
        url: Address of the Redis that holds its queue.

    Returns:
        Exit status, not 0 if Celery has ended by itself.
    """
    app = celery_app(url)

    def job(_key: str) -> None:
        with suppress(LurkError):  # the queue cannot be used now; the message is sent again
            worker.run_next()
            while worker.has_paused and worker.run_next():
                pass

    app.task(job, name=TASK, acks_late=True, reject_on_worker_lost=True, ignore_result=True)
    app.amqp.queues.select([MESSAGES])
    controller = WorkController(
        app=app,
        hostname=f"{worker.name}@lurk",
        pool_cls="solo",
        concurrency=1,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    queue = open_celery_queue(url)
    threading.Thread(target=_watch, args=(worker, queue), name="watch", daemon=True).start()
    try:
        controller.start()
    finally:
        ended_by_itself = not worker.is_ending
        worker.give_back()
    return int(controller.exitcode or 1) if ended_by_itself else 0


def _watch(worker: Worker, queue: Queue) -> None:
    """End this process if its job does not stop in time, or if it receives no message although jobs wait."""
    claims, idle_since = worker.claims, time.monotonic()
    while not worker.is_ending:
        time.sleep(WATCH_S)
        busy_s = worker.busy_s()
        if busy_s > TIME_LIMIT_S:
            worker.cut_short()
        if busy_s > TIME_LIMIT_S + GRACE_S:
            with suppress(LurkError):
                queue.lost(worker.name, f"did not end in {TIME_LIMIT_S + GRACE_S:.0f} s")
            end_process_group()
        if busy_s or claims != worker.claims or not _has_waiting(queue):
            claims, idle_since = worker.claims, time.monotonic()
        elif time.monotonic() - idle_since > UNHEARD_S:
            worker.give_back()
            end_process_group()


def _has_waiting(queue: Queue) -> bool:
    """Whether a job waits; False if the queue cannot be used now."""
    try:
        return queue.has_waiting()
    except LurkError:
        return False
