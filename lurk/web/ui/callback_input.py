"""What a callback's request may look like: anything else is answered with 400 before Dash sees it."""

from collections.abc import Mapping, Sequence
from typing import Any

from dash import Dash
from flask import request
from werkzeug.exceptions import BadRequest

from lurk.jobs.method_request import MOST_UNITS

LONGEST_NAME = 1000


def register(app: Dash) -> None:
    """Check the body of every callback request of an app."""
    path = app.config.requests_pathname_prefix + "_dash-update-component"

    def check() -> None:
        if request.path == path and request.method == "POST":
            body = read_json()
            wrong = problem(body, app.callback_map)
            if wrong:
                raise BadRequest(f"not a callback of this page: {wrong}")

    app.server.before_request(check)


def read_json() -> object:
    """The JSON value that a request carries; None where it carries none, or one that is nested without end."""
    try:
        return request.get_json(silent=True)
    except RecursionError:
        return None


def problem(body: object, callbacks: Mapping[str, Mapping[str, Any]]) -> str:
    """What is wrong with the body of a callback request.

    Args:
        body: The JSON value that was sent, None where it was none.
        callbacks: Dash's table of callbacks.

    Returns:
        What is wrong in words; empty where the body is one that the page could have sent.
    """
    if not isinstance(body, dict):
        return "the body is no JSON object"
    output = body.get("output")
    if not isinstance(output, str) or output not in callbacks:
        return "it names no output that there is"
    known = callbacks[output]
    changed = body.get("changedPropIds", [])
    if not isinstance(changed, list) or not all(isinstance(name, str) for name in changed):
        return "changedPropIds is no list of names"
    if not _are(body.get("inputs"), known["inputs"]) or not _are(body.get("state", []), known["state"]):
        return "its inputs are not those of the output"
    return "" if _names_output(body.get("outputs"), known) else "its outputs do not match"


def _are(given: object, declared: Sequence[Mapping[str, str]]) -> bool:
    """Whether inputs are those that were declared, in their order."""
    if not isinstance(given, list) or len(given) != len(declared):
        return False
    return all(
        isinstance(one, dict) and one.get("id") == wanted["id"] and one.get("property") == wanted["property"]
        for one, wanted in zip(given, declared, strict=True)
    )


def _names_output(given: object, known: Mapping[str, Any]) -> bool:
    output = known["output"]
    if isinstance(output, list | tuple):
        return _are(given, [{"id": one.component_id, "property": one.component_property} for one in output])
    return _are([given], [{"id": output.component_id, "property": output.component_property}])


def name(value: object) -> str:
    """A name that the page sent.

    Args:
        value: What it sent.

    Returns:
        The name.

    Raises:
        BadRequest: It is no text, or too long for a name.
    """
    if not isinstance(value, str) or len(value) > LONGEST_NAME:
        raise BadRequest("a name was expected")
    return value


def number(value: object) -> int:
    """A whole number of 0 or more that the page sent.

    Args:
        value: What it sent.

    Returns:
        The number.

    Raises:
        BadRequest: It is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 10**9:
        raise BadRequest("a whole number was expected")
    return value


def numbers(value: object) -> list[int]:
    """Whole numbers of 0 or more that the page sent.

    Args:
        value: What it sent.

    Returns:
        The numbers.

    Raises:
        BadRequest: It is no list of such, or too long.
    """
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_UNITS:
        raise BadRequest(f"a list of 1 to {MOST_UNITS} whole numbers was expected")
    return [number(item) for item in value]


def part(value: object, key: str) -> object:
    """A part of a JSON object that the page sent.

    Args:
        value: The object.
        key: Name of the part.

    Returns:
        The part.

    Raises:
        BadRequest: It is no object, or has no such part.
    """
    if not isinstance(value, dict) or key not in value:
        raise BadRequest(f"an object with {key!r} was expected")
    return value[key]
