"""Opens what the option `--queue` names: the queue, and the numbers that are counted for the metrics."""

from contextlib import suppress
from pathlib import Path

from lurk.config.queue_address import LOCAL, check_queue
from lurk.errors import CacheError
from lurk.jobs.record_queue import LocalQueue
from lurk.storage.counts import COUNTS, DiskCounts


def queue_at(where: str, cache: Path) -> LocalQueue:
    """Open a queue.

    Args:
        where: `local`, or the address of a Redis.
        cache: The cache directory, which holds the local queue.

    Returns:
        The queue.

    Raises:
        LurkError: The address is none, or its Redis has no password.
        QueueError: The queue cannot be opened.
    """
    if where == LOCAL:
        return LocalQueue(cache)
    check_queue(where)
    from lurk.jobs.celery import CeleryQueue

    queue = CeleryQueue(where)
    queue.check()
    return queue


def share_counts(where: str, cache: Path) -> None:
    """Add what this process counts to the numbers of all processes of a queue; without a store it keeps its own.

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
