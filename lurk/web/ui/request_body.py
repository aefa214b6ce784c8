"""What a request may carry: a callback's body is checked before Dash sees it, and values are read with their type.

Everything else is answered with 400.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from dash import Dash
from flask import request
from flask.json.provider import DefaultJSONProvider
from werkzeug.exceptions import BadRequest

from lurk.jobs.method_request import MOST_UNITS
from lurk.service.urls import CHANNELS

LONGEST_NAME = 1000
LARGEST_NUMBER = 10**9


def register(app: Dash) -> None:
    """Check the body of every callback request of an app."""
    path = app.config.routes_pathname_prefix + "_dash-update-component"

    def check() -> None:
        if request.path == path and request.method == "POST":
            wrong = problem(read_json(), app.callback_map)
            if wrong:
                raise BadRequest(f"not a callback of this page: {wrong}")

    app.server.json = Json(app.server)
    app.server.before_request(check)


class Json(DefaultJSONProvider):
    """JSON as orjson reads it: no NaN, no text that is no Unicode, no nesting without end; whole numbers have 64 bits.

    So what a callback hands back of its input can be written again.
    """

    def loads(self, s: str | bytes, **_options: Any) -> Any:
        """Read JSON; raises ValueError if it is none."""
        return orjson.loads(s)


def read_json() -> object:
    """The JSON value of the request; None if it has none."""
    return request.get_json(silent=True)


def problem(body: object, callbacks: Mapping[str, Mapping[str, Any]]) -> str:
    """What is wrong with the body of a callback request.

    Args:
        body: The JSON value of the request.
        callbacks: Dash's table of callbacks.

    Returns:
        The problem in words; empty if the page could have sent this body.
    """
    if not isinstance(body, dict):
        return "the body is no JSON object"
    output = body.get("output")
    if not isinstance(output, str) or output not in callbacks:
        return "it names no output that there is"
    callback = callbacks[output]
    changed = body.get("changedPropIds", [])
    if not isinstance(changed, list) or not all(isinstance(name, str) for name in changed):
        return "changedPropIds is no list of names"
    if not _match(body.get("inputs"), callback["inputs"]) or not _match(body.get("state", []), callback["state"]):
        return "its inputs are not those of the output"
    declared, given = callback["output"], body.get("outputs")
    outputs, given = (declared, given) if isinstance(declared, list | tuple) else ([declared], [given])
    names = [{"id": one.component_id, "property": one.component_property} for one in outputs]
    return "" if _match(given, names) else "its outputs do not match"


def _match(given: object, declared: Sequence[Mapping[str, str]]) -> bool:
    """Whether the inputs or outputs of a request are those that the callback declares, in their order."""
    if not isinstance(given, list) or len(given) != len(declared):
        return False
    return all(
        isinstance(one, dict) and one.get("id") == wanted["id"] and one.get("property") == wanted["property"]
        for one, wanted in zip(given, declared, strict=True)
    )


def name(value: object) -> str:
    """A name that the page sent; raises BadRequest if it is no text or too long."""
    if not isinstance(value, str) or len(value) > LONGEST_NAME:
        raise BadRequest("a name was expected")
    return value


def channels(value: object) -> str:
    """The channels that are shown, such as `3-2-1` or `4`, empty for the usual ones; BadRequest for anything else."""
    if value is not None and value != "" and not (isinstance(value, str) and CHANNELS.fullmatch(value)):
        raise BadRequest("channels are one number, or three with '-' between them")
    return value if isinstance(value, str) else ""


def number(value: object) -> int:
    """A whole number of 0 or more that the page sent; raises BadRequest for anything else."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < LARGEST_NUMBER:
        raise BadRequest("a whole number was expected")
    return value


def numbers(value: object) -> list[int]:
    """A list of 1 to 64 whole numbers that the page sent; raises BadRequest for anything else."""
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_UNITS:
        raise BadRequest(f"a list of 1 to {MOST_UNITS} whole numbers was expected")
    return [number(item) for item in value]


def part(value: object, key: str) -> object:
    """A part of a JSON object that the page sent; raises BadRequest if it is missing."""
    if not isinstance(value, dict) or key not in value:
        raise BadRequest(f"an object with {key!r} was expected")
    return value[key]
