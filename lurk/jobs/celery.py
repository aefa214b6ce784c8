"""The queue of many machines: the local queue's records in a Redis, and Celery to tell workers that there is a job.

A message carries the key of a job and nothing else, and it is only a bell: a worker that hears it claims the best
waiting job from the records, by lane and lease, as on one machine. A bell too many finds nothing to do; one that was
lost with its worker is rung again by the sweep of the leases. So what the broker does loses and repeats no job.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import celery
import kombu.exceptions

from lurk.jobs.record import Lease
from lurk.jobs.record_queue import LocalQueue
from lurk.jobs.redis_texts import ANSWER_S, RedisTexts
from lurk.jobs.waiting_lines import key_of

TASK, BELLS = "lurk.job", "lurk"
TIME_LIMIT_S = 3600.0
GRACE_S = 300.0
VISIBILITY_S = 7200
MOST_BELLS = 100
ONE_CLOCK = "redis"


def celery_app(url: str) -> Any:
    """The Celery application of a queue: JSON only, acknowledged late, one message at a time.

    Args:
        url: Address of the Redis.

    Returns:
        A `celery.Celery` without tasks of its own.
    """
    app = celery.Celery("lurk", broker=url, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        result_serializer="json",
        event_serializer="json",
        task_ignore_result=True,
        task_default_queue=BELLS,
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


class CeleryQueue(LocalQueue):
    """The queue in a Redis: what the local queue promises, for the workers of any number of machines."""

    def __init__(self, url: str, *, clock: Callable[[], float] | None = None, is_mute: bool = False) -> None:
        """Prepare; the connection is made at the first use.

        Args:
            url: Address of the Redis; a database of it holds one cache directory's jobs.
            clock: Seconds, the same for all machines; by default the clock of the Redis.
            is_mute: Whether to ring no bells.
        """
        self.app = celery_app(url)
        self._texts: RedisTexts = RedisTexts(url, self._tell)  # type: ignore[assignment]  # the same calls as Texts has
        self._clock, self._swept, self._is_mute = clock or self._texts.now, None, is_mute

    def _tell(self, changes: Mapping[str, str | None]) -> None:
        """Ring for each job that has begun to wait."""
        self._ring([key_of(text) for name, text in changes.items() if name.startswith("wait:") and text])

    def _ring(self, keys: list[str]) -> None:
        if self._is_mute:
            return
        with suppress(kombu.exceptions.OperationalError, OSError):  # the sweep of the leases rings again
            for key in keys:
                self.app.send_task(TASK, args=[key], queue=BELLS, retry=False)

    def sweep_leases(self) -> int:
        """Take back the jobs whose leases ran out, and ring for those that wait unheard; see `Queue`."""
        now = self._clock()
        if self._swept is not None and now < self._swept:  # the clock was set back: the workers' next beats mend it
            self._swept = now
            return 0
        lost = super().sweep_leases()
        if not self._is_mute and not self._texts.length(BELLS):
            self._ring([key_of(text) for _, text in self._texts.span("wait:", "wait;", MOST_BELLS)])
        return lost

    def check(self) -> None:
        """Ask the Redis for an answer; QueueError where there is none."""
        self._texts.check()

    def risks(self) -> list[str]:
        """Which of the Redis's settings may lose jobs, and how to mend that, as far as it tells its settings."""
        keeps, limit, policy = map(self._texts.setting, ("appendonly", "maxmemory", "maxmemory-policy"))
        found = []
        if keeps == "no":
            found.append("the Redis may forget the latest jobs when it ends; start it with: --appendonly yes")
        if limit not in (None, "0") and policy not in (None, "noeviction"):
            found.append(f"the Redis drops jobs when its memory is full ({policy}); --maxmemory-policy noeviction")
        return found

    def close(self) -> None:
        """Close the connections; the next use opens them again."""
        self._texts.close()
        self.app.pool.force_close_all()

    def has_waiting(self) -> bool:
        """Whether a job waits."""
        return bool(self._texts.span("wait:", "wait;", 1))

    def _lease(self) -> Lease:
        return Lease(ONE_CLOCK, self._clock())

    def _is_fresh(self, lease: Lease, limit_s: float) -> bool:
        return lease.boot == ONE_CLOCK and 0 <= self._clock() - lease.at <= limit_s
