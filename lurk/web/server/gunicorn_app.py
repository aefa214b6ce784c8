"""The web process: gunicorn, whose workers make the app after the fork; it ends when its parent does.

`web_process` starts `python -m lurk.web.server.gunicorn_app --listener N --settings JSON` and holds the other end of
its standard input. This process forks, so it opens no store and starts no thread itself.
"""

import argparse
import gc
import json
import logging
import os
import select
import socket
import struct
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # set before the first import of NumPy: no thread pool

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger
from gunicorn.http import wsgi
from gunicorn.workers import gthread
from gunicorn.workers.gthread import TConn, ThreadWorker

from lurk.config.logs import configure
from lurk.config.options import Settings
from lurk.config.queue_address import LOCAL, QUEUE_VARIABLE
from lurk.jobs.open_queue import share_counts
from lurk.web.auth.access import open_access
from lurk.web.auth.request_guard import security_headers
from lurk.web.server.listen import BACKLOG, allowed_hosts
from lurk.web.server.open_service import open_service
from lurk.web.ui.app import create_app
from lurk.worker.memory import give_back_freed_memory

THREADS = 32
STALLED_S = {socket.SO_RCVTIMEO: 10, socket.SO_SNDTIMEO: 30}
SPEAKS_S = 0.2
KEEPALIVE_S = 75
GRACE_S = 3
SILENT_S = 60


class Response(wsgi.Response):  # type: ignore[misc]  # gunicorn has no types
    """A response that does not name the server."""

    def default_headers(self) -> list[str]:
        """Header lines that the app does not set."""
        return [line for line in super().default_headers() if not line.startswith("Server:")]


class _SecureSocket:
    """A client's socket that adds the security headers to what gunicorn itself answers."""

    def __init__(self, client: socket.socket) -> None:
        self._client = client

    def sendall(self, data: bytes) -> None:
        status, end, rest = data.partition(b"\r\n")
        headers = "".join(f"{name}: {value}\r\n" for name, value in security_headers(()))
        self._client.sendall(status + end + headers.encode() + rest)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


class Threads(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """A worker whose threads give up silent clients and close their own connections."""

    def enqueue_req(self, conn: TConn) -> None:
        """Hand a connection to a thread."""
        if not conn.initialized:
            for option, seconds in STALLED_S.items():
                conn.sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", seconds, 0))
        super().enqueue_req(conn)

    def handle(self, conn: TConn) -> Any:
        """Answer a request, and close the connection if it ends with it; closing may take 2 s.

        Gunicorn would close it in the thread that accepts all requests, which would wait for one client after another.
        """
        stays = super().handle(conn)
        if not stays:
            conn.close(graceful=True)
            conn.close = _close_again
        return stays

    def handle_quit(self, sig: int, frame: Any) -> None:
        """End at once; a usual end would wait for threads that wait for silent clients."""
        os._exit(0)

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        """Answer a malformed request."""
        super().handle_error(req, _SecureSocket(client), addr, exc)


def _close_again(graceful: bool = False) -> None:
    """Do nothing; the connection is closed already."""


class Log(Logger):  # type: ignore[misc]  # gunicorn has no types
    """Gunicorn's log as a part of ours; the app logs the requests."""

    def setup(self, cfg: Any) -> None:
        """Set levels and handlers."""
        super().setup(cfg)
        level = logging.WARNING if logging.getLogger("lurk").isEnabledFor(logging.INFO) else logging.ERROR
        self.error_log.handlers.clear()
        self.error_log.setLevel(level)
        self.error_log.propagate = True
        self.error_log.addFilter(_is_important)


def _is_important(record: logging.LogRecord) -> bool:
    """Whether a line is about more than a silent client."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, BlockingIOError | TimeoutError)


class Gunicorn(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """Gunicorn with our options and app."""

    def __init__(self, settings: Settings, listener: int) -> None:
        self._settings, self._listener = settings, listener
        super().__init__()

    def load_config(self) -> None:
        """Set the options."""
        options = {
            "bind": f"fd://{self._listener}",
            "workers": self._settings.web_workers,
            "worker_class": Threads,
            "threads": THREADS,
            "backlog": BACKLOG,
            "timeout": SILENT_S,
            "graceful_timeout": GRACE_S,
            "keepalive": KEEPALIVE_S,
            "logger_class": Log,
            "control_socket_disable": True,  # it would be a thread, and this process forks
            "worker_tmp_dir": "/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir(),  # noqa: S108 - gunicorn makes a file of its own there
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Make the app, in a worker."""
        configure("web")
        give_back_freed_memory()
        service = open_service(self._settings)
        share_counts(self._settings.queue, service.cache)
        access = open_access(self._settings, service.cache)
        hosts, prefix = allowed_hosts(self._settings), self._settings.path_prefix or ""
        app = create_app(service, allowed_hosts=hosts, access=access, prefix=prefix).server
        gc.freeze()  # else Python looks through all modules again and again, for up to half a second within a request
        return app


class ParentArbiter(Arbiter):  # type: ignore[misc]  # gunicorn has no types
    """An arbiter that ends when standard input does."""

    def murder_workers(self) -> None:
        """End hanging workers, and this process with its parent; called every second."""
        if select.select([0], [], [], 0)[0] and not os.read(0, 4096):
            self.stop(False)
            raise StopIteration
        super().murder_workers()


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="lurk.web.server.gunicorn_app", description="Answer requests until standard input ends."
    )
    parser.add_argument("--listener", type=int, required=True, help="number of the listening socket")
    parser.add_argument("--settings", required=True, help="the options of the run, as JSON")
    given = parser.parse_args(arguments)
    configure("web")
    wsgi.Response = Response
    gthread.DEFAULT_WORKER_DATA_TIMEOUT = SPEAKS_S  # browsers open connections before they need them
    queue = os.environ.get(QUEUE_VARIABLE) or LOCAL
    ParentArbiter(Gunicorn(Settings(**json.loads(given.settings) | {"queue": queue}), given.listener)).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
