"""The queue of several machines: job records in a Redis, and Celery to tell workers that jobs wait.

A message contains the key of a job and means only that there is work: the worker that receives it claims the best
waiting job from the records, as on one machine. If a message comes twice, the second one finds no job; if one is lost,
the next check of the leases sends it again. So no job is lost or run twice, whatever the broker does.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import islice

import celery
import kombu.exceptions

from lurk.jobs.job_record import Clock
from lurk.jobs.record_queue import RecordQueue
from lurk.jobs.redis_text_store import ANSWER_S, RedisTexts

TASK, MESSAGES = "lurk.job", "lurk"
TIME_LIMIT_S = 3600.0
GRACE_S = 300.0
VISIBILITY_S = 7200
MOST_MESSAGES = 100


def celery_app(url: str) -> celery.Celery:
    """Configure the Celery application of a queue: JSON only, acknowledged late, one message at a time.

    Args:
        url: Address of the Redis.

    Returns:
        The application, without tasks.
    """
    app = celery.Celery("lurk", broker=url, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        result_serializer="json",
        event_serializer="json",
        task_ignore_result=True,
        task_default_queue=MESSAGES,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_time_limit=TIME_LIMIT_S + GRACE_S,
        task_soft_time_limit=TIME_LIMIT_S,
        worker_prefetch_multiplier=1,
        worker_concurrency=1,
        worker_pool="solo",
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "visibility_timeout": VISIBILITY_S,
            "socket_timeout": ANSWER_S,
            "socket_connect_timeout": ANSWER_S,
            "max_retries": 1,
        },
    )
    return app


class CeleryNotifier:
    """Sends messages to Celery workers; a message that cannot be sent is sent again later.

    Args:
        app: The Celery application.
        unread: Counts the messages that no worker has received yet.
    """

    def __init__(self, app: celery.Celery, unread: Callable[[], int]) -> None:
        self.app, self._unread = app, unread

    def notify(self, keys: Iterable[str]) -> None:
        """Send a message for each job that begins to wait."""
        with suppress(kombu.exceptions.OperationalError, OSError):  # `notify_again` sends it
            for key in keys:
                self.app.send_task(TASK, args=[key], queue=MESSAGES, retry=False)

    def notify_again(self, keys: Iterable[str]) -> None:
        """Send a message for each of the first waiting jobs, unless earlier messages are still unread."""
        if not self._unread():
            self.notify(islice(keys, MOST_MESSAGES))

    def close(self) -> None:
        """Close the connections; the next use opens them again."""
        self.app.pool.force_close_all()


def open_celery_queue(url: str, *, now: Callable[[], float] | None = None, sends_messages: bool = True) -> RecordQueue:
    """Open the queue in a Redis, for the workers of any number of machines.

    Args:
        url: Address of the Redis; its database holds the jobs of one cache directory.
        now: The clock of the leases in seconds, the same for all machines; by default that of the Redis.
        sends_messages: Whether workers are told of waiting jobs.

    Returns:
        The queue.

    Raises:
        QueueError: The Redis does not answer.
    """
    texts = RedisTexts(url)
    texts.check()
    notifier = CeleryNotifier(celery_app(url), lambda: texts.length(MESSAGES)) if sends_messages else None
    return RecordQueue(texts, Clock("redis", now or texts.now), notifier)
