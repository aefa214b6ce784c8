"""Compression of texts: pages, JSON, scripts and style sheets; images are compressed already."""

import threading
from http import HTTPStatus

from flask import Flask, Request, Response
from flask_compress import Compress

LEAST_BYTES = 1000
KEPT = 64
SCRIPTS = "/_dash-component-suites/"  # their addresses name their version
MIMETYPES = (
    "text/html",
    "text/css",
    "text/plain",
    "text/javascript",
    "application/javascript",
    "application/json",
    "image/svg+xml",
)


class ScriptCache:
    """A cache of the compressed scripts of packages; it keeps nothing else."""

    def __init__(self) -> None:
        self._lock, self._bodies = threading.Lock(), dict[str, bytes]()

    def get(self, key: str) -> bytes | None:
        """A compressed body."""
        return self._bodies.get(key)

    def set(self, key: str, value: bytes) -> None:
        """Keep a compressed body; of more than 64 the oldest is dropped."""
        if SCRIPTS not in key:
            return
        with self._lock:
            while len(self._bodies) >= KEPT:
                self._bodies.pop(next(iter(self._bodies)))
            self._bodies[key] = value


def register(server: Flask) -> None:
    """Compress the responses of an app for browsers that accept it."""
    server.config.update(
        COMPRESS_ALGORITHM=["br", "gzip"],
        COMPRESS_STREAMS=False,
        COMPRESS_MIMETYPES=list(MIMETYPES),
        COMPRESS_MIN_SIZE=LEAST_BYTES,
        COMPRESS_CACHE_BACKEND=ScriptCache,
        COMPRESS_CACHE_KEY=_key,
    )
    server.after_request(_no_variants)  # runs last: Flask calls these in reverse order
    Compress(server)
    server.after_request(_read_whole)  # runs first


def _key(request: Request) -> str:
    return request.full_path


def _read_whole(response: Response) -> Response:
    """Read a streamed file at once, so that it is closed even if the response is never sent."""
    if response.is_streamed and response.status_code == HTTPStatus.OK and response.mimetype in MIMETYPES:
        response.direct_passthrough = False
        response.make_sequence()
    return response


def _no_variants(response: Response) -> Response:
    """Drop `Vary` from a response that is never compressed."""
    if response.mimetype not in MIMETYPES and response.vary.as_set() == {"accept-encoding"}:
        response.headers.pop("Vary")
    return response
