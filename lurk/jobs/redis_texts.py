"""Texts in a Redis, in the order of their names, changed by transactions: what the queue of many machines is built on.

A transaction holds a lock that runs out by itself, gathers what it changes, and hands all of it in by one script, which
does nothing where the lock is no longer its own. So a process that is killed or held up halfway has changed nothing.
"""

import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from lurk.config.queue_address import without_password
from lurk.errors import QueueError

LOCK_S = 3.0
PATIENCE_S = 15.0
ANSWER_S = 5.0
LOCK, LAST, NAMES, VALUES, NUMBERS = (f"lurk:{part}" for part in ("lock", "last", "names", "values", "numbers"))

SPAN = """
local names = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])
local found = {}
for at = 1, #names do
    found[2 * at - 1] = names[at]
    found[2 * at] = redis.call('HGET', KEYS[2], names[at])
end
return found
"""
COMMIT = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
    return redis.call('GET', KEYS[2]) == ARGV[1] and 1 or 0
end
local puts = tonumber(ARGV[2])
for at = 3, 2 + 2 * puts, 2 do
    redis.call('ZADD', KEYS[3], 0, ARGV[at])
    redis.call('HSET', KEYS[4], ARGV[at], ARGV[at + 1])
end
for at = 3 + 2 * puts, #ARGV do
    redis.call('ZREM', KEYS[3], ARGV[at])
    redis.call('HDEL', KEYS[4], ARGV[at])
end
redis.call('SET', KEYS[2], ARGV[1])
redis.call('DEL', KEYS[1])
return 1
"""
RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"

Changes = dict[str, str | None]


class RedisTexts:
    """Texts under names in a Redis that several machines share; `disk_texts` keeps them on one machine."""

    def __init__(self, url: str, told: Callable[[Mapping[str, str | None]], None] = lambda _changes: None) -> None:
        """Prepare; the connection is made at the first use.

        Args:
            url: Address of the Redis, whose database holds one queue and nothing else.
            told: Called after each transaction with the texts that it has put, None for those dropped.
        """
        self._where, self._told = without_password(url), told
        patience = Retry(ExponentialBackoff(cap=0.4, base=0.05), 3)
        self._redis: Any = redis.Redis.from_url(
            url, decode_responses=True, socket_timeout=ANSWER_S, socket_connect_timeout=ANSWER_S, retry=patience
        )
        self._span = self._redis.register_script(SPAN)
        self._commit = self._redis.register_script(COMMIT)
        self._release = self._redis.register_script(RELEASE)
        self._mine = threading.local()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn Redis's errors into QueueError."""
        try:
            yield
        except redis.exceptions.AuthenticationError as error:
            raise QueueError(f"the Redis at {self._where} refuses the password of --queue ({error})") from error
        except redis.exceptions.RedisError as error:
            raise QueueError(
                f"cannot use the Redis at {self._where}: {error}; is --queue right, does it run?"
            ) from error

    @property
    def _changes(self) -> Changes | None:
        """What this thread's transaction changes, None outside of one."""
        found: Changes | None = getattr(self._mine, "changes", None)
        return found

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Change several texts at once; no other process or thread reads or changes them halfway."""
        token = uuid.uuid4().hex
        self._acquire(token)
        changes: Changes = {}
        self._mine.changes = changes
        try:
            yield
            self._hand_in(token, changes)
        except BaseException:
            with suppress(QueueError), self._errors():  # else the lock runs out by itself
                self._release(keys=[LOCK], args=[token])
            raise
        finally:
            self._mine.changes = None
        self._told(changes)

    def _acquire(self, token: str) -> None:
        end, pause_s = time.monotonic() + PATIENCE_S, 0.001
        with self._errors():
            while not self._redis.set(LOCK, token, nx=True, px=int(1000 * LOCK_S)):
                if self._redis.get(LOCK) == token:  # set by a try whose answer was lost
                    return
                if time.monotonic() > end:
                    raise QueueError(f"the queue in the Redis at {self._where} is held for too long; try again")
                time.sleep(pause_s * (0.5 + random.random()))  # noqa: S311 - a pause, not a secret
                pause_s = min(2 * pause_s, 0.02)

    def _hand_in(self, token: str, changes: Changes) -> None:
        puts = [part for name, text in changes.items() if text is not None for part in (name, text)]
        drops = [name for name, text in changes.items() if text is None]
        with self._errors():
            done = self._commit(keys=[LOCK, LAST, NAMES, VALUES], args=[token, len(puts) // 2, *puts, *drops])
        if not done:
            raise QueueError(f"a change of the queue in the Redis at {self._where} took too long; try again")

    def get(self, name: str) -> str | None:
        """Text of that name, None where there is none."""
        if self._changes and name in self._changes:
            return self._changes[name]
        with self._errors():
            found: str | None = self._redis.hget(VALUES, name)
        return found

    def put(self, name: str, text: str) -> None:
        """Keep a text under a name."""
        self._change(name, text)

    def drop(self, name: str) -> None:
        """Forget a name; nothing happens where there is none."""
        self._change(name, None)

    def _change(self, name: str, text: str | None) -> None:
        if self._changes is None:
            with self.transaction():
                self._change(name, text)
        else:
            self._changes[name] = text

    def span(self, low: str, high: str, most: int = -1) -> list[tuple[str, str]]:
        """The first names and texts, in order; see `lurk.jobs.disk_texts.Texts.span`."""
        changes = {name: text for name, text in (self._changes or {}).items() if low <= name < high}
        asked = most + len(changes) if most >= 0 else -1
        with self._errors():
            flat = self._span(keys=[NAMES, VALUES], args=[f"[{low}", f"({high}", asked])
        found: Changes = dict(zip(flat[::2], flat[1::2], strict=True)) | changes
        there = sorted((name, text) for name, text in found.items() if text is not None)
        return there if most < 0 else there[:most]

    def count(self, low: str, high: str) -> int:
        """How many names there are from `low` up to, without, `high`."""
        changes = {name: text for name, text in (self._changes or {}).items() if low <= name < high}
        with self._errors():
            number = int(self._redis.zlexcount(NAMES, f"[{low}", f"({high}"))
            for name, text in changes.items():
                number += (text is not None) - bool(self._redis.hexists(VALUES, name))
        return number

    def next_number(self, name: str) -> int:
        """Count one up from 1; never the same number twice."""
        with self._errors():
            return int(self._redis.hincrby(NUMBERS, name, 1))

    def now(self) -> float:
        """Seconds since 1970 by the clock of the Redis, which is the same for all machines."""
        with self._errors():
            seconds, micros = self._redis.time()
        return float(seconds) + float(micros) / 1e6

    def length(self, name: str) -> int:
        """How many messages wait in a list of the broker, which lies in the same database."""
        with self._errors():
            return int(self._redis.llen(name))

    def setting(self, name: str) -> str | None:
        """A setting of the Redis, None where it does not tell."""
        try:
            found: dict[str, str] = self._redis.config_get(name)
        except redis.exceptions.RedisError:
            return None
        return found.get(name)

    def check(self) -> None:
        """Ask for an answer; QueueError where there is none."""
        with self._errors():
            self._redis.ping()

    def close(self) -> None:
        """Close the connections; the next use opens them again."""
        self._redis.close()
