"""Opens what the option `--queue` names: the queue, and the store in which all processes count for the metrics."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from lurk.config.queue_address import LOCAL, check_queue
from lurk.errors import CacheError
from lurk.jobs.disk_text_store import open_texts
from lurk.jobs.heartbeats import boot_id
from lurk.jobs.job_record import Clock
from lurk.jobs.queue import Queue
from lurk.jobs.record_queue import RecordQueue
from lurk.storage.metric_counts import COUNTS, DiskCounts


def open_queue(where: str, cache: Path) -> Queue:
    """Open a queue.

    Args:
        where: `local`, or the address of a Redis.
        cache: The cache directory, which holds the local queue.

    Returns:
        The queue.

    Raises:
        LurkError: The address is wrong, or its Redis has no password.
        QueueError: The queue cannot be opened.
    """
    if where == LOCAL:
        return open_local_queue(cache)
    check_queue(where)
    from lurk.jobs.celery_queue import open_celery_queue

    return open_celery_queue(where)


def open_local_queue(cache: Path, *, now: Callable[[], float] = time.monotonic) -> RecordQueue:
    """Open the queue of a cache directory, for the processes of this machine.

    Args:
        cache: The cache directory.
        now: The clock of the leases in seconds; by default one that goes on when the system's time is set.

    Returns:
        The queue.

    Raises:
        QueueError: The queue cannot be opened.
    """
    return RecordQueue(open_texts(cache), Clock(boot_id(), now))


def share_counts(where: str, cache: Path) -> None:
    """Add what this process counts to the numbers of all processes of a queue, if they have a store.

    Args:
        where: `local`, or the address of a Redis.
        cache: The cache directory.
    """
    if where == LOCAL:
        with suppress(CacheError):
            COUNTS.share(DiskCounts(cache))
    else:
        from lurk.jobs.redis_counts import RedisCounts

        COUNTS.share(RedisCounts(where))
