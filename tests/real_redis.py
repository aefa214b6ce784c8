"""A real Redis of the tests' own: on a free port of this machine, with a password."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import redis

PASSWORD = "of-the-tests-only"


class RealRedis:
    """A `redis-server` process that can be killed and started again on the same port and files."""

    def __init__(self, folder: Path, flush: str) -> None:
        self.folder, self._flush = folder, flush
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: int = 0) -> str:
        """Address of one of its databases."""
        return f"redis://:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = {
            "port": self.port,
            "bind": "127.0.0.1",
            "requirepass": PASSWORD,
            "dir": self.folder,
            "save": "",
            "appendonly": "yes",
            "appendfsync": self._flush,
            "databases": 64,
            "loglevel": "warning",
        }
        command = ["redis-server", *(part for name, value in options.items() for part in (f"--{name}", str(value)))]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        end = time.monotonic() + 20
        while time.monotonic() < end and self._process.poll() is None:
            with suppress(redis.RedisError):
                self.client().ping()
                return
            time.sleep(0.05)
        raise AssertionError("redis-server did not start")

    def kill(self) -> None:
        """End it as a power cut does."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def client(self, database: int = 0) -> redis.Redis:
        """A connection to one of its databases."""
        return redis.Redis.from_url(self.url(database), decode_responses=True)


@contextmanager
def real_redis(folder: Path, *, flush: str = "always") -> Iterator[RealRedis]:
    """Start a Redis and end it; where there is none to start, the test is skipped."""
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not here; on Debian: apt-get install redis-server")
    server = RealRedis(folder, flush)
    try:
        server.start()
        yield server
    finally:
        server.kill()
