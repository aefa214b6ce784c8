"""The web server of one process: the page and the JSON API of a service, on a port."""

import errno
import socket
import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from lurk.access import LOOPBACK, check_open, open_access
from lurk.errors import LurkError
from lurk.index import Index
from lurk.index_writer import show_in_study
from lurk.jobs.local import LocalQueue
from lurk.service import Service
from lurk.settings import DEFAULT_PORT, Settings
from lurk.stores import open_renders, prepare_cache
from lurk.ui import create_app

PORTS_TRIED = 50


class _Handler(WSGIRequestHandler):
    """Answers without naming the server's version, and writes no line a request."""

    def version_string(self) -> str:
        return "lurk"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        return None


@dataclass
class Server:
    """A running server; also a context manager that stops it.

    Args:
        url: Address of the page.
        entrance: What to open at first; with the token where there is one.
    """

    url: str
    _server: BaseWSGIServer
    _thread: threading.Thread
    entrance: str

    def stop(self) -> None:
        """Stop serving; returns when the port is free."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start(service: Service, settings: Settings) -> Server:
    """Serve a service in a thread.

    Args:
        service: What the page asks.
        settings: Host, port, further host names and debug.

    Returns:
        The running server.

    Raises:
        LurkError: The port is taken, or the address is not one of this machine's or open to others.
    """
    check_open(settings)
    access = open_access(settings, prepare_cache(settings.cache))
    app = create_app(service, debug=settings.debug, allowed_hosts=allowed_names(settings), access=access)
    server = _bound(app.server, settings)
    thread = threading.Thread(target=server.serve_forever, name="web", daemon=True)
    thread.start()
    url = f"http://{shown_host(settings.host)}:{server.server_port}/"
    return Server(url, server, thread, access.address(url) if access else url)


def allowed_names(settings: Settings) -> tuple[str, ...]:
    """Host names beside loopback under which the page may be asked for: those given, and where it is open its own."""
    given = tuple(name.strip() for name in (settings.allowed_host or "").split(",") if name.strip())
    own = () if settings.host in LOOPBACK else (settings.host, socket.gethostname())
    return (*given, *own)


def shown_host(host: str) -> str:
    """How an address of the page names its host; this machine's name where it listens on all of its addresses."""
    named = socket.gethostname() if host in ("", "0.0.0.0", "::") else host  # noqa: S104 - compared, not bound
    return f"[{named}]" if ":" in named else named


def _bound(wsgi: object, settings: Settings) -> BaseWSGIServer:
    first = DEFAULT_PORT if settings.port is None else settings.port
    for port in range(first, first + (PORTS_TRIED if settings.port is None else 1)):
        if port == 0 or _is_free(settings.host, port):
            return make_server(settings.host, port, wsgi, threaded=True, request_handler=_Handler)  # type: ignore[arg-type]  # Flask is a WSGI app
    raise LurkError(f"port {first} on {settings.host} is taken; choose another with --port")


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise LurkError(f"cannot serve on {host}: {error.strerror}; choose an address with --host") from error
    return True


def serve(index: Index, *, port: int | None = None, host: str = "127.0.0.1", block: bool = True) -> Server:
    """Show an index in a browser.

    Args:
        index: What `sweep` gives.
        port: Port to serve on; by default 8050 or the next free one; 0 for any.
        host: Address to serve on, one of this machine's own.
        block: Whether to return only after an interrupt.

    Returns:
        The server, with `.url` and `.stop()`; stopped already when it blocked.

    Raises:
        LurkError: The port is taken, or the address is open to others.
    """
    cache = index.folder.parent.parent
    provenance = index.manifest.provenance
    settings = Settings(
        model=provenance.model,
        data=index.manifest.image_set,
        top=index.manifest.top,
        host=host,
        port=port,
        cache=str(cache),
    )
    study = f"{settings.study}-{index.key[:6]}"
    show_in_study(cache, study, index.folder)
    server = start(Service({study: settings}, cache, LocalQueue(cache), open_renders(cache)), settings)
    if block:
        print(f"{server.url} (stop with Ctrl-C)")  # noqa: T201 - the caller waits and must know where to look
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            server.stop()
    return server
