"""A worker that hears of jobs by Celery's messages, where the queue lies in a Redis.

Celery runs its task in the worker's one thread (`solo`): no process is ever forked, with or without torch; the
processes are those that the supervisor spawns. That pool knows no time limit, so a thread here keeps it: a job that has
run for long is asked to make way, which costs nothing, as it goes on from where it is; one that does not is lost.
"""

import threading
import time
from contextlib import suppress

from celery.worker import WorkController

from lurk.errors import LurkError
from lurk.jobs.celery import BELLS, GRACE_S, TASK, TIME_LIMIT_S, CeleryQueue
from lurk.worker.worker import Worker, end_family

WATCH_S = 1.0
DEAF_S = 20.0


def hear(worker: Worker, url: str) -> int:
    """Run a job for each message until the process is told to end.

    Args:
        worker: What claims and runs the jobs.
        url: Address of the Redis that holds its queue.

    Returns:
        Exit status, not 0 where Celery has ended by itself.
    """
    queue = CeleryQueue(url)

    def job(_key: str) -> None:
        with suppress(LurkError):  # the queue cannot be used just now; the bell is rung again
            worker.once()

    queue.app.task(job, name=TASK, acks_late=True, reject_on_worker_lost=True, ignore_result=True)
    queue.app.amqp.queues.select([BELLS])
    controller = WorkController(
        app=queue.app,
        hostname=f"{worker.name}@lurk",
        pool_cls="solo",
        concurrency=1,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    threading.Thread(target=_watch, args=(worker, queue), name="watch", daemon=True).start()
    try:
        controller.start()
    finally:
        ended_by_itself = not worker.is_ending
        worker.give_back()
    return int(controller.exitcode or 1) if ended_by_itself else 0


def _watch(worker: Worker, queue: CeleryQueue) -> None:
    """End the process where its job does not end, or where it hears nothing although jobs wait."""
    heard, idle_since = worker.claims, time.monotonic()
    while not worker.is_ending:
        time.sleep(WATCH_S)
        busy_s = worker.busy_s()
        if busy_s > TIME_LIMIT_S:
            worker.cut_short()
        if busy_s > TIME_LIMIT_S + GRACE_S:
            with suppress(LurkError):
                queue.lost(worker.name, f"did not end in {TIME_LIMIT_S + GRACE_S:.0f} s")
            end_family()
        if busy_s or heard != worker.claims or not _waits(queue):
            heard, idle_since = worker.claims, time.monotonic()
        elif time.monotonic() - idle_since > DEAF_S:
            worker.give_back()
            end_family()


def _waits(queue: CeleryQueue) -> bool:
    """Whether a job waits, as far as that can be found out."""
    try:
        return queue.has_waiting()
    except LurkError:
        return False
