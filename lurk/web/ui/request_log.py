"""The log of requests: each gets an id, which its response and its log lines carry, and is counted and timed."""

import re
import secrets
import time
from collections.abc import Callable, Iterable

from lurk.config.logs import REQUEST, event, seconds_since, within
from lurk.storage.metric_counts import COUNTS
from lurk.web.auth.request_guard import Application, Environ, Headers, StartResponse

HEADER = "X-Request-ID"
KINDS = {
    "api": "api",
    "media": "media",
    "preview": "media",
    "assets": "file",
    "vendor": "file",
    "_dash-component-suites": "file",
    "_dash-update-component": "callback",
    "healthz": "health",
    "readyz": "health",
    "metrics": "health",
}
LONGEST_PATH = 300
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestLog:
    """A WSGI application around another one."""

    def __init__(self, app: Application) -> None:
        self._app = app

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        began, path = time.monotonic(), str(environ.get("PATH_INFO") or "/")
        given = str(environ.get("HTTP_X_REQUEST_ID") or "")
        request = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        answered = ["000"]

        def start(status: str, headers: Headers, *more: object) -> Callable[[bytes], object]:
            answered[0] = status[:3]
            return start_response(status, [*headers, (HEADER, request)], *more)

        with within(REQUEST, request):
            try:
                return self._app(environ, start)
            finally:
                kind, seconds = kind_of(path), seconds_since(began)
                COUNTS.add("lurk_requests", kind=kind, status=f"{answered[0][0]}xx")
                COUNTS.time("lurk_request_seconds", seconds, kind=kind)
                if kind != "health":
                    event(
                        "request",
                        method=environ.get("REQUEST_METHOD"),
                        path=path[:LONGEST_PATH],
                        status=int(answered[0]),
                        seconds=seconds,
                        client=environ.get("REMOTE_ADDR"),
                    )


def kind_of(path: str) -> str:
    """The kind of a path, for the metrics; there are few kinds, whatever the path."""
    return KINDS.get(path.lstrip("/").partition("/")[0], "page")
