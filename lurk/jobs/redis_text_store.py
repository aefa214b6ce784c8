"""The texts of the queue of several machines: in a Redis.

A transaction takes a lock that expires by itself, collects its changes, and submits all of them by one script, which
does nothing if the lock is no longer held. So a process that is killed or held up halfway has changed nothing.
"""

import random
import threading
import time
import uuid
from collections.abc import Iterator
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
LOCK, LAST, VALUES, NUMBERS = (f"lurk:{part}" for part in ("lock", "last", "values", "numbers"))

COMMIT = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
    return redis.call('GET', KEYS[2]) == ARGV[1] and 1 or 0
end
local puts = tonumber(ARGV[2])
for at = 3, 2 + 2 * puts, 2 do
    redis.call('HSET', KEYS[3], ARGV[at], ARGV[at + 1])
end
for at = 3 + 2 * puts, #ARGV do
    redis.call('HDEL', KEYS[3], ARGV[at])
end
redis.call('SET', KEYS[2], ARGV[1])
redis.call('DEL', KEYS[1])
return 1
"""
RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"

Changes = dict[str, str | None]


class RedisTexts:
    """Texts in a Redis, which is connected at the first use; see `Texts`.

    Args:
        url: Address of the Redis; its database holds one queue and nothing else.
    """

    def __init__(self, url: str) -> None:
        self._where = without_password(url)
        patience = Retry(ExponentialBackoff(cap=0.4, base=0.05), 3)
        self._redis: Any = redis.Redis.from_url(
            url, decode_responses=True, socket_timeout=ANSWER_S, socket_connect_timeout=ANSWER_S, retry=patience
        )
        self._commit = self._redis.register_script(COMMIT)
        self._release = self._redis.register_script(RELEASE)
        self._thread = threading.local()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn the errors of the Redis into QueueError."""
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
        """What this thread's transaction changes, None outside a transaction."""
        found: Changes | None = getattr(self._thread, "changes", None)
        return found

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Change several texts together; see `Texts`."""
        if self._changes is not None:
            yield
            return
        token = uuid.uuid4().hex
        self._acquire(token)
        changes: Changes = {}
        self._thread.changes = changes
        try:
            yield
            self._submit(token, changes)
        except BaseException:
            with suppress(QueueError), self._errors():  # if this fails, the lock expires by itself
                self._release(keys=[LOCK], args=[token])
            raise
        finally:
            self._thread.changes = None

    def _acquire(self, token: str) -> None:
        end, pause_s = time.monotonic() + PATIENCE_S, 0.001
        with self._errors():
            while not self._redis.set(LOCK, token, nx=True, px=int(1000 * LOCK_S)):
                if self._redis.get(LOCK) == token:  # set by an earlier try, whose answer was lost
                    return
                if time.monotonic() > end:
                    raise QueueError(f"the queue in the Redis at {self._where} is held for too long; try again")
                time.sleep(pause_s * (0.5 + random.random()))  # noqa: S311 - a pause, not a secret
                pause_s = min(2 * pause_s, 0.02)

    def _submit(self, token: str, changes: Changes) -> None:
        puts = [part for name, text in changes.items() if text is not None for part in (name, text)]
        drops = [name for name, text in changes.items() if text is None]
        with self._errors():
            done = self._commit(keys=[LOCK, LAST, VALUES], args=[token, len(puts) // 2, *puts, *drops])
        if not done:
            raise QueueError(f"a change of the queue in the Redis at {self._where} took too long; try again")

    def get(self, name: str) -> str | None:
        """Return the text of a name, None if there is none."""
        if self._changes and name in self._changes:
            return self._changes[name]
        with self._errors():
            found: str | None = self._redis.hget(VALUES, name)
        return found

    def put(self, name: str, text: str) -> None:
        """Keep a text under a name."""
        self._change(name, text)

    def drop(self, name: str) -> None:
        """Remove a name, if it is there."""
        self._change(name, None)

    def _change(self, name: str, text: str | None) -> None:
        with self.transaction():
            self._thread.changes[name] = text

    def items(self) -> dict[str, str]:
        """Return all texts by name."""
        with self._errors():
            found = self._redis.hgetall(VALUES) | (self._changes or {})
        return {name: text for name, text in found.items() if text is not None}

    def next_number(self, name: str) -> int:
        """Count up from 1; no number is given twice."""
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

    def risks(self) -> list[str]:
        """Say which settings of the Redis may lose jobs, and how to change them, if it tells its settings."""
        keeps, limit, policy = map(self._setting, ("appendonly", "maxmemory", "maxmemory-policy"))
        found = []
        if keeps == "no":
            found.append("the Redis may forget the latest jobs when it ends; start it with: --appendonly yes")
        if limit not in (None, "0") and policy not in (None, "noeviction"):
            found.append(f"the Redis drops jobs when its memory is full ({policy}); --maxmemory-policy noeviction")
        return found

    def _setting(self, name: str) -> str | None:
        try:
            found: dict[str, str] = self._redis.config_get(name)
        except redis.exceptions.RedisError:
            return None
        return found.get(name)

    def check(self) -> None:
        """Raise QueueError if the Redis does not answer."""
        with self._errors():
            self._redis.ping()

    def close(self) -> None:
        """Close the connections; the next use opens them again."""
        self._redis.close()
