"""Responses: strict JSON, and errors in plain words without a traceback."""

import json
import logging
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import orjson
from dash.exceptions import DependencyException, InvalidResourceError
from flask import Flask, Response, request
from werkzeug.exceptions import BadRequest, HTTPException

from lurk.errors import CacheError, DiskFullError, LurkError, NotAllowedError, QueueError, QueueFullError
from lurk.service.urls import MEDIA, PREVIEW, Address
from lurk.web.ui.path_prefix import outside

LOG = logging.getLogger("lurk.ui")
OPTIONS = orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_SUBCLASS
JSON_PATHS = ("/api/", MEDIA, PREVIEW, "/_dash", "/readyz", "/metrics", "/healthz")
WORDS = {
    404: "there is nothing at this address",
    405: "this address does not take that method",
    413: "the body is larger than 12 MB",
    415: "the body is not sent as application/json",
}
STATUSES: dict[type[LurkError], int] = {
    NotAllowedError: 403,
    QueueFullError: 429,
    DiskFullError: 507,
    QueueError: 503,
    CacheError: 503,
    LurkError: 404,
}


def plain(value: Any) -> Any:
    """A value as JSON can hold it: dataclasses by field, None instead of NaN and infinity, addresses with prefix."""
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, str | bool | int):
        return outside(value) if isinstance(value, Address) else value
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    return [plain(item) for item in value]


def to_json(value: object) -> bytes:
    """JSON of the values that `plain` knows, as it gives them; orjson itself writes null for NaN and infinity."""
    try:
        return orjson.dumps(value, default=plain, option=OPTIONS)
    except TypeError:  # a text that is no Unicode, such as the name of a folder
        return json.dumps(plain(value), allow_nan=False, separators=(",", ":")).encode() + b"\n"


def answer(value: object, status: int = 200) -> Response:
    """A response with JSON."""
    return Response(to_json(value), status, mimetype="application/json")


def error(message: str, status: int) -> Response:
    """A response with an error: JSON at an address for programs, else a line of text."""
    if request.path.startswith(JSON_PATHS):
        return answer({"error": message}, status)
    return Response(message[:1].upper() + message[1:] + ".\n", status, mimetype="text/plain")


def register(server: Flask) -> None:
    """Answer all errors of an app in plain words."""
    server.register_error_handler(LurkError, _user_error)
    for kind in (DependencyException, InvalidResourceError):
        server.register_error_handler(kind, _no_package)
    server.register_error_handler(HTTPException, _http_error)
    server.register_error_handler(Exception, _server_error)


def _user_error(problem: LurkError) -> Response:
    return error(str(problem), next(status for kind, status in STATUSES.items() if isinstance(problem, kind)))


def _no_package(_problem: Exception) -> Response:
    """Dash raises it for the address of a package that it does not have."""
    return error(WORDS[404], 404)


def _http_error(problem: HTTPException) -> Response:
    code = problem.code or 500
    if problem.response is not None or code < 400:
        return Response(status=code) if problem.response is None else problem.get_response()  # type: ignore[return-value]  # a redirect is one
    words = problem.description if isinstance(problem, BadRequest) else None
    return error(WORDS.get(code) or words or problem.name.lower(), code)


def _server_error(problem: Exception) -> Response:
    LOG.error("request %s %s failed", request.method, request.path, exc_info=problem)
    return error("something went wrong in the server; its log says what", 500)
