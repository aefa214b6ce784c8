"""Keeps the web process alive: it is started again when it ends, on the same port, which stays open."""

import http.client
import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from lurk.config.logs import event
from lurk.config.options import Settings
from lurk.config.queue_address import LOCAL
from lurk.errors import LurkError
from lurk.web.server.listen import listen, url_of
from lurk.worker.subprocesses import RestartingProcess, how_it_ended

MODULE = "lurk.web.server.gunicorn_app"
WATCH_S = 0.1
ASK_S = 1.0
START_S = 60.0
ATTEMPTS = 3


class Web:
    """The web process; a context manager that ends it.

    The port is opened here and handed to the process, so that requests wait, instead of being refused, while the
    process is started again.
    """

    def __init__(self, settings: Settings) -> None:
        """Open the port; nothing is started yet.

        Args:
            settings: The options.

        Raises:
            listen: A LurkError: the port is taken, or the address is open to others.
        """
        self._listener = listen(settings)
        self.url = url_of(self._listener, settings.host, settings.path_prefix or "")
        number = self._listener.fileno()
        options = asdict(replace(settings, queue=LOCAL))  # a Redis's password must not be on a command line
        self._arguments = ("--listener", str(number), "--settings", json.dumps(options))
        self._process = RestartingProcess(files=(number,), queue=settings.queue)
        self._over, self._ended = threading.Event(), 0
        self._thread = threading.Thread(target=self._watch, name="web", daemon=True)

    def start(self) -> Self:
        """Start the process and the thread that starts it again."""
        self._thread.start()
        return self

    def _watch(self) -> None:
        while True:
            code = self._process.ensure(MODULE, *self._arguments)
            if code is not None:
                self._ended += 1
                event("web process ended", level=logging.WARNING, how=how_it_ended(code))
            if self._over.wait(WATCH_S):
                break
        self._process.stop()

    def wait(self, is_over: Callable[[], bool]) -> None:
        """Wait until the process answers.

        Args:
            is_over: Whether to give up waiting.

        Raises:
            LurkError: The process does not start.
        """
        end = time.monotonic() + START_S
        while not is_over() and not is_serving(self.url):
            if self._ended >= ATTEMPTS or time.monotonic() > end:
                raise LurkError("the web process does not start; what it wrote above says why; see also: lurk doctor")
            self._over.wait(WATCH_S)

    def stop(self) -> None:
        """End the process and close the port; a second call does nothing."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        self._listener.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def is_serving(url: str) -> bool:
    """Whether the server at an address is alive."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=ASK_S)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def main(arguments: Sequence[str]) -> int:
    """The container's health check; returns the exit status 0 if the server is alive, else 1."""
    return 0 if is_serving(arguments[0]) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
