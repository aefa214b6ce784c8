"""The addresses of jobs and of what methods make: what can be asked for, the asking, and pictures under way."""

from typing import Any

import flask
from flask import Response
from werkzeug.exceptions import BadRequest

from lurk.errors import LurkError
from lurk.jobs.method_request import DEFAULT_PICTURE, KINDS, MethodRequest
from lurk.logs import event
from lurk.service.service import Service
from lurk.storage.webp import MIMETYPE
from lurk.web.ui.addresses import find_layer, find_study, find_unit
from lurk.web.ui.login_routes import person
from lurk.web.ui.request_body import name, number, numbers, part, read_json
from lurk.web.ui.responses import answer

MOST_OPTIONS, MOST_TILES = 64, 4096


def jobs(service: Service) -> Response:
    """One's own jobs; all of them for an admin."""
    return answer(service.jobs(person()))


def job(service: Service, key: str) -> Response:
    """One job."""
    return answer(_found(service.job(key), key))


def _found(job: dict[str, Any] | None, key: str) -> dict[str, Any]:
    if job is None:
        raise LurkError(f"there is no job {key[:64]!r}")
    return job


def submit(service: Service) -> Response:
    """Ask for a job.

    Args:
        service: Who takes it.

    Returns:
        The job.

    Raises:
        BadRequest: The body is none of a job that can be asked for.
    """
    body = read_json()
    kind, study, layer = part(body, "kind"), name(part(body, "study")), name(part(body, "layer"))
    if kind == "verify":
        unit = number(part(body, "unit"))
        find_unit(service, study, layer, unit)
        key = service.verify(study, layer, unit, person())
        event("job asked for", job=key, kind=kind, study=study)
        return answer(service.job(key) or {"key": key}, 202)
    request = method_request(body)
    find_layer(service, study, layer)
    found = service.ask(study, request, person())
    event("job asked for", job=found["key"], kind=kind, study=study, state=found["state"])
    return answer(found, 200 if found["state"] == "done" else 202)


def method_request(body: object) -> MethodRequest:
    """Read the body of a request for pictures or a map.

    Args:
        body: The JSON value that was sent.

    Returns:
        The request, to be completed by the service.

    Raises:
        BadRequest: A part is missing or of the wrong type.
    """
    kind, layer = part(body, "kind"), name(part(body, "layer"))
    if not isinstance(body, dict) or kind not in KINDS:
        raise BadRequest(f"the kinds of job that can be asked for are verify, {', '.join(KINDS)}")
    units = numbers(part(body, "units")) if kind == "pictures" else [number(part(body, "unit"))]
    options, image = body.get("options") or {}, body.get("image")
    if not isinstance(options, dict) or len(options) > MOST_OPTIONS:
        raise BadRequest("options must be an object of names and values")
    return MethodRequest(
        kind,
        layer,
        tuple(units),
        name(body.get("method") or DEFAULT_PICTURE),
        options=tuple(options.items()),
        image=None if image is None else number(image),
        target=name(body.get("target") or ""),
    )


def cancel_job(service: Service, key: str) -> Response:
    """Stop a job."""
    event("job cancelled", job=key[:64])
    return answer(_found(service.cancel_job(key, person()), key), 202)


def methods(service: Service, study: str) -> Response:
    """What each method offers for a study's model."""
    find_study(service, study)
    return answer([offer.to_json() for offer in service.methods(study)])


def pictures(service: Service, study: str, layer: str) -> Response:
    """Addresses of the pictures of the units asked for, whole or under way, `?units=0,1,2`.

    Args:
        service: Who knows them.
        study: Name of the study.
        layer: Name of the layer.

    Returns:
        Tile addresses by unit.

    Raises:
        BadRequest: The units are no numbers, or too many.
    """
    find_layer(service, study, layer)
    given = [text for text in flask.request.args.get("units", "").split(",") if text]
    if len(given) > MOST_TILES or not all(text.isascii() and text.isdigit() and len(text) < 10 for text in given):
        raise BadRequest(f"units must be at most {MOST_TILES} whole numbers, separated by commas")
    return answer(service.pictures(study, layer, [int(text) for text in given]))


def preview(service: Service, key: str) -> Response:
    """A picture as far as it is."""
    body = service.preview(key)
    if body is None:
        raise LurkError("there is no such picture under way")
    return Response(body, 200, {"Cache-Control": "no-store"}, mimetype=MIMETYPE)
