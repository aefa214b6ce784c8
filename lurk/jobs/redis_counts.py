"""The numbers of the metrics in a Redis, to which the processes of several machines add."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import redis

from lurk.config.queue_address import without_password
from lurk.errors import QueueError
from lurk.jobs.redis_text_store import ANSWER_S

COUNTED = "lurk:counted"


class RedisCounts:
    """The numbers that the processes of a queue share; see `lurk.storage.metric_counts.Shared`."""

    def __init__(self, url: str) -> None:
        """Prepare; the first use connects.

        Args:
            url: Address of the Redis.
        """
        self._where = without_password(url)
        self._redis: Any = redis.Redis.from_url(
            url, decode_responses=True, socket_timeout=ANSWER_S, socket_connect_timeout=ANSWER_S, retry=None
        )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except redis.exceptions.RedisError as error:
            raise QueueError(f"cannot use the Redis at {self._where}: {error}") from error

    def add(self, amounts: Mapping[str, float]) -> None:
        """Add to several numbers, all or none; not tried again by itself, as it may have been done."""
        with self._errors(), self._redis.pipeline(transaction=True) as together:
            for name, amount in amounts.items():
                together.hincrbyfloat(COUNTED, name, amount)
            together.execute()

    def read(self) -> dict[str, float]:
        """All numbers."""
        with self._errors():
            return {name: float(amount) for name, amount in self._redis.hgetall(COUNTED).items()}
