"""What browsers keep: what an address names for good is kept for good, all else is asked for again with its ETag."""

from http import HTTPStatus

from flask import Flask, Response, request

from lurk.service.urls import MEDIA

FOR_GOOD = "private, max-age=31536000, immutable"
ASKED_AGAIN = "private, no-cache"
NOT_KEPT = "no-store"
FILES, VERSION = ("/assets/", "/vendor/"), "m"
PACKAGES = "/_dash-component-suites/"


def register(server: Flask) -> None:
    """Say of each answer of an app whether browsers may keep it."""
    server.after_request(_say)


def _say(response: Response) -> Response:
    """Answers that say `no-store` themselves, errors, and all that is not a GET are not kept."""
    if (
        request.method not in ("GET", "HEAD")
        or response.status_code != HTTPStatus.OK
        or response.cache_control.no_store
    ):
        response.headers["Cache-Control"] = NOT_KEPT
    elif _names_content(response):
        response.headers["Cache-Control"] = FOR_GOOD
    else:
        response.headers["Cache-Control"] = ASKED_AGAIN
        if not response.is_streamed:
            response.add_etag()
        response.make_conditional(request)
    return response


def _names_content(response: Response) -> bool:
    """Whether the address changes with what it names: images by key, and files with a version in their address."""
    path = request.path
    if path.startswith(PACKAGES):
        return bool(response.cache_control.max_age)  # Dash gives it to addresses that hold the package's version
    return path.startswith(MEDIA) or (path.startswith(FILES) and VERSION in request.args)
