"""The web server in a thread of this process: waitress for notebooks, Werkzeug for `--debug`."""

import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from types import TracebackType
from typing import Any, Self

import waitress.server
from waitress.channel import HTTPChannel
from waitress.task import ErrorTask
from werkzeug.serving import WSGIRequestHandler, make_server

from lurk.config.options import Settings
from lurk.errors import expect, whole_number
from lurk.jobs.open_queue import open_local_queue
from lurk.service.service import Service
from lurk.storage.cache_dir import prepare_cache
from lurk.storage.index import Index
from lurk.storage.index_writer import show_in_study
from lurk.storage.render_store import open_renders
from lurk.web.auth.access import check_open, open_access
from lurk.web.auth.request_guard import LARGEST_BODY, security_headers
from lurk.web.server.listen import BACKLOG, allowed_hosts, listen, url_of
from lurk.web.ui.app import create_app

THREADS = 32
CONNECTIONS = 1000
STALLED_S = 60


@dataclass
class Server:
    """A running server; also a context manager that stops it.

    Args:
        url: Address of the page.
    """

    url: str
    _stop: Callable[[], None]
    _thread: threading.Thread

    def stop(self) -> None:
        """Stop serving; returns when the port is free. A second call does nothing."""
        if self._thread.is_alive():
            self._stop()
            self._thread.join()

    def _repr_html_(self) -> str:
        """A link to the page, for Jupyter; or that the server has stopped."""
        if not self._thread.is_alive():
            return f"{escape(self.url)} (stopped)"
        return f'<a href="{escape(self.url)}" target="_blank" rel="noopener">{escape(self.url)}</a>'

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start(service: Service, settings: Settings) -> Server:
    """Serve a service in a thread: with Werkzeug for `debug`, else with waitress.

    Args:
        service: Answers the page.
        settings: Host, port, further host names and debug.

    Returns:
        The running server.

    Raises:
        LurkError: The port is taken, the address is not one of this machine's, or open to others.
    """
    check_open(settings)
    access = open_access(settings, prepare_cache(settings.cache))
    listener = listen(settings)
    try:
        app = create_app(
            service,
            debug=settings.debug,
            allowed_hosts=allowed_hosts(settings),
            access=access,
            prefix=settings.path_prefix or "",
        )
        run, stop = (_werkzeug if settings.debug else _waitress)(app.server, listener, settings.host)
    except BaseException:
        listener.close()
        raise
    url = url_of(listener, settings.host, settings.path_prefix or "")
    thread = threading.Thread(target=run, name="web", daemon=True)
    thread.start()
    return Server(url, stop, thread)


class _DebugHandler(WSGIRequestHandler):
    """Answers without naming the server, and logs no requests."""

    def send_header(self, keyword: str, value: str) -> None:
        if keyword.lower() != "server":
            super().send_header(keyword, value)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        return None


def _werkzeug(app: Any, listener: socket.socket, host: str) -> tuple[Callable[[], None], Callable[[], None]]:
    port = listener.getsockname()[1]
    server = make_server(host, port, app, threaded=True, request_handler=_DebugHandler, fd=listener.fileno())

    def run() -> None:
        with listener, server:
            server.serve_forever(poll_interval=0.1)

    return run, server.shutdown


class _ErrorTask(ErrorTask):  # type: ignore[misc]  # waitress has no types
    """Adds the security headers to what waitress itself answers."""

    def execute(self) -> None:
        self.response_headers.extend(security_headers(()))
        super().execute()


class _Channel(HTTPChannel):  # type: ignore[misc]  # waitress has no types
    error_task_class = _ErrorTask


def _waitress(app: Any, listener: socket.socket, _host: str) -> tuple[Callable[[], None], Callable[[], None]]:
    server = waitress.server.create_server(
        app,
        sockets=[listener],
        threads=THREADS,
        backlog=BACKLOG,
        connection_limit=CONNECTIONS,
        channel_timeout=STALLED_S,
        max_request_body_size=LARGEST_BODY,
        ident="",
        clear_untrusted_proxy_headers=True,
        asyncore_use_poll=True,
    )
    server.channel_class = _Channel

    def end() -> None:  # in the server's own thread, whose loop ends when no channel is open
        server.task_dispatcher.shutdown()
        waitress.wasyncore.close_all(server._map)

    return server.run, lambda: server.trigger.pull_trigger(end)


def serve(
    index: Index, *, port: int | None = None, host: str = "127.0.0.1", path_prefix: str = "", block: bool = True
) -> Server:
    """Show an index in a browser.

    Args:
        index: What `sweep` returns.
        port: Port to serve on; by default 8050 or the next free one; 0 for any.
        host: Address to serve on, one of this machine's own.
        path_prefix: Path under which a proxy shows the page, such as `/user/me/proxy/8050`; empty for none.
        block: Whether to return only after an interrupt.

    Returns:
        The server, with `.url` and `.stop()`; already stopped if `block` is true.

    Raises:
        LurkError: The port is taken, or the address is open to others.
    """
    expect(index, Index, "what is served is an index of lurk.sweep")
    port = None if port is None else whole_number(port, "port")
    cache = index.folder.parent.parent
    provenance = index.manifest.provenance
    settings = Settings(
        model=provenance.model,
        data=index.manifest.image_set,
        top=index.manifest.top,
        host=host,
        port=port,
        path_prefix=path_prefix,
        cache=str(cache),
    )
    study = f"{settings.study}-{index.key[:6]}"
    show_in_study(cache, study, index.folder)
    server = start(Service({study: settings}, cache, open_local_queue(cache), open_renders(cache)), settings)
    if block:
        print(f"{server.url} (stop with Ctrl-C)")  # noqa: T201 - the caller waits and must know where to look
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            server.stop()
    return server
