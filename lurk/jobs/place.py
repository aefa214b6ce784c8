"""Opens the queue that the option `--queue` names."""

from pathlib import Path

from lurk.broker import LOCAL, check_queue
from lurk.jobs.local import LocalQueue


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
