"""Compression of texts: pages, JSON, scripts and style sheets; images are as small as they get."""

import threading
from http import HTTPStatus

from flask import Flask, Request, Response
from flask_compress import Compress

LEAST_BYTES = 1000
KEPT = 64
LASTING = "/_dash-component-suites/"  # their addresses name their version
MIMETYPES = (
    "text/html",
    "text/css",
    "text/plain",
    "text/javascript",
    "application/javascript",
    "application/json",
    "image/svg+xml",
)


class Lasting:
    """Compressed scripts of packages, so that each is compressed once; anything else is not kept."""

    def __init__(self) -> None:
        self._lock, self._bodies = threading.Lock(), dict[str, bytes]()

    def get(self, key: str) -> bytes | None:
        """A compressed body."""
        return self._bodies.get(key)

    def set(self, key: str, value: bytes) -> None:
        """Keep a compressed body; the oldest goes where there are too many."""
        if LASTING not in key:
            return
        with self._lock:
            while len(self._bodies) >= KEPT:
                self._bodies.pop(next(iter(self._bodies)))
            self._bodies[key] = value


def register(server: Flask) -> None:
    """Compress the answers of an app for those who take that."""
    server.config.update(
        COMPRESS_ALGORITHM=["br", "gzip"],
        COMPRESS_STREAMS=False,
        COMPRESS_MIMETYPES=list(MIMETYPES),
        COMPRESS_MIN_SIZE=LEAST_BYTES,
        COMPRESS_CACHE_BACKEND=Lasting,
        COMPRESS_CACHE_KEY=_key,
    )
    server.after_request(_no_variants)  # runs after the one below: the last to register is the first to run
    Compress(server)
    server.after_request(_whole)  # runs before


def _key(asked: Request) -> str:
    return asked.full_path


def _whole(answer: Response) -> Response:
    """A file of ours is read at once, so that it is closed whatever becomes of the answer."""
    if answer.is_streamed and answer.status_code == HTTPStatus.OK and answer.mimetype in MIMETYPES:
        answer.direct_passthrough = False
        answer.make_sequence()
    return answer


def _no_variants(answer: Response) -> Response:
    """What is never compressed does not vary with what the browser takes."""
    if answer.mimetype not in MIMETYPES and answer.vary.as_set() == {"accept-encoding"}:
        answer.headers.pop("Vary")
    return answer
