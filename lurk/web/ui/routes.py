"""The addresses beside the page: the JSON API, images, health and metrics, and Bootstrap's style sheet."""

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import flask
from flask import Blueprint, Flask, Response, send_from_directory
from werkzeug.exceptions import BadRequest

from lurk.config.logs import event
from lurk.errors import LurkError
from lurk.jobs.method_request import DEFAULT_PICTURE, KINDS, MethodRequest
from lurk.service.grid_view import SORTS
from lurk.service.service import Service
from lurk.service.study_view import StudyView
from lurk.service.urls import MEDIA, PREVIEW
from lurk.storage.webp import MIMETYPE
from lurk.web.ui.login_routes import person
from lurk.web.ui.page_addresses import API, find_layer, find_study, find_unit
from lurk.web.ui.path_prefix import outside
from lurk.web.ui.request_body import LARGEST_NUMBER, name, number, numbers, part, read_json
from lurk.web.ui.responses import answer

STYLE, STYLE_PACKAGE = "/vendor/bootstrap.min.css", "bootstrap-flask"
UNITS = "/studies/<study>/layers/<path:layer>/units"
NOT_KEPT = {"Cache-Control": "no-store"}
MOST_OPTIONS, MOST_TILES = 64, 4096

View = Callable[..., Response]


def register(server: Flask, service: Service) -> None:
    """Add the routes to an app."""
    api = Blueprint("api", __name__, url_prefix=API)
    for path, view in _api_get().items():
        api.add_url_rule(path, path, partial(view, service), methods=["GET"])
    for path, view in _api_post().items():
        api.add_url_rule(path, "post " + path, partial(view, service), methods=["POST"])
    api.add_url_rule("/", "nothing", _nothing)
    api.add_url_rule("/<path:rest>", "nothing more", _nothing)
    server.register_blueprint(api)
    for path, view in _others().items():
        server.add_url_rule(path, "lurk " + path, partial(view, service))
    server.add_url_rule(STYLE, "lurk style", _style)


def _api_get() -> dict[str, View]:
    return {
        "/studies": studies,
        "/studies/<study>": study,
        "/studies/<study>/skipped": skipped,
        "/studies/<study>/methods": methods,
        "/studies/<study>/layers": layers,
        "/studies/<study>/layers/<path:layer>/pictures": pictures,
        UNITS: units,
        UNITS + "/<int(signed=True):unit>": unit,
        "/jobs": jobs,
        "/jobs/<key>": job,
        "/me": me,
    }


def _api_post() -> dict[str, View]:
    return {
        "/studies/<study>/cancel": cancel,
        "/studies/<study>/resume": resume,
        "/jobs": submit,
        "/jobs/<key>/cancel": cancel_job,
    }


def _others() -> dict[str, View]:
    return {
        f"{MEDIA}<path:key>": media,
        f"{PREVIEW}<path:key>": preview,
        "/healthz": health,
        "/readyz": ready,
        "/metrics": metrics,
    }


def me(_service: Service) -> Response:
    """Name and role of the person."""
    return answer({"name": person().name, "role": person().role})


def study_json(service: Service, view: StudyView) -> dict[str, Any]:
    """A study with the state of its sweep."""
    status = service.status(view.name)
    parts = (
        "name",
        "title",
        "model",
        "images",
        "layers",
        "units",
        "swept",
        "preprocessing",
        "weight_hash",
        "channels",
        "notes",
    )
    return {
        **{part: getattr(view, part) for part in parts},
        **status,
        "may_cancel": person().is_admin,
        "notice": view.notice or status["notice"],
        "weights": view.weights or status["weights"],
    }


def studies(service: Service) -> Response:
    """All studies."""
    return answer([study_json(service, view) for view in service.studies()])


def study(service: Service, study: str) -> Response:
    """One study and the state of its sweep; the page polls it."""
    return answer(study_json(service, find_study(service, study)))


def skipped(service: Service, study: str) -> Response:
    """The images that could not be used."""
    find_study(service, study)
    return answer(service.skipped(study))


def methods(service: Service, study: str) -> Response:
    """The methods, and whether each works for the study's model."""
    return answer([method.to_json() for method in service.methods(study)])


def layers(service: Service, study: str) -> Response:
    """Layers of a study."""
    return answer(service.layers(study))


def pictures(service: Service, study: str, layer: str) -> Response:
    """Addresses of the pictures, finished or being drawn, of the units in `?units=0,1,2`."""
    find_layer(service, study, layer)
    given = [text for text in flask.request.args.get("units", "").split(",") if text]
    if len(given) > MOST_TILES or not all(text.isascii() and text.isdigit() and len(text) < 10 for text in given):
        raise BadRequest(f"units must be at most {MOST_TILES} whole numbers, separated by commas")
    return answer(service.pictures(study, layer, [int(text) for text in given]))


def units(service: Service, study: str, layer: str) -> Response:
    """Units of a layer, sorted and cut as the query says, with their sprites."""
    find_layer(service, study, layer)
    sort = flask.request.args.get("sort", "unit")
    if sort not in SORTS:
        raise BadRequest(f"cannot sort by {sort!r}; sort by one of {', '.join(SORTS)}")
    return answer(service.grid(study, layer, sort, _count("limit"), _count("offset") or 0))


def _count(argument: str) -> int | None:
    text = flask.request.args.get(argument)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and int(text[:20]) < LARGEST_NUMBER):
        raise BadRequest(f"{argument} must be a whole number of 0 or more, not {text[:40]!r}")
    return int(text)


def unit(service: Service, study: str, layer: str, unit: int) -> Response:
    """All that is known of a unit."""
    return answer(find_unit(service, study, layer, unit).to_json() | {"study": study})


def cancel(service: Service, study: str) -> Response:
    """Stop a study's sweep."""
    view = find_study(service, study)
    service.cancel(study, person())
    return answer(study_json(service, view), 202)


def resume(service: Service, study: str) -> Response:
    """Resume a study's sweep."""
    view = find_study(service, study)
    service.resume(study, person())
    return answer(study_json(service, view), 202)


def jobs(service: Service) -> Response:
    """The person's own jobs, or everybody's for an admin."""
    return answer(service.jobs(person()))


def job(service: Service, key: str) -> Response:
    """One job."""
    return answer(_existing(service.job(key), key))


def cancel_job(service: Service, key: str) -> Response:
    """Stop a job."""
    event("job cancelled", job=key[:64])
    return answer(_existing(service.cancel_job(key, person()), key), 202)


def _existing(job: dict[str, Any] | None, key: str) -> dict[str, Any]:
    if job is None:
        raise LurkError(f"there is no job {key[:64]!r}")
    return job


def submit(service: Service) -> Response:
    """Submit a job: the check of a unit's scores, or a request for pictures or a map."""
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
    view = service.ask(study, request, person())
    event("job asked for", job=view["key"], kind=kind, study=study, state=view["state"])
    return answer(view, 200 if view["state"] == "done" else 202)


def method_request(body: object) -> MethodRequest:
    """Read the body of a request for pictures or a map; raises BadRequest if a part is missing or of another type."""
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
        images=tuple(numbers(part(body, "images"))) if kind == "maps" else (),
    )


def preview(service: Service, key: str) -> Response:
    """A picture that is being drawn, as far as it is."""
    body = service.preview(key)
    if body is None:
        raise LurkError("there is no such picture under way")
    return Response(body, 200, NOT_KEPT, mimetype=MIMETYPE)


def media(service: Service, key: str) -> Response:
    """An image; what its address names never changes."""
    found = service.media(key)
    if found is None:
        raise LurkError("there is no such image")
    body, mimetype = found
    return Response(body, 200, mimetype=mimetype)


def health(_service: Service) -> Response:
    """That the process answers, and nothing else."""
    return Response("", 200, NOT_KEPT, mimetype="text/plain")


def ready(service: Service) -> Response:
    """Whether every index can be read and a worker is alive."""
    is_ready, details = service.ready()
    return answer({"ready": is_ready, **details}, 200 if is_ready else 503)


def metrics(service: Service) -> Response:
    """Metrics for Prometheus."""
    return Response(service.metrics(), 200, NOT_KEPT, content_type="text/plain; version=0.0.4")


def _nothing(rest: str = "") -> Response:
    raise LurkError(f"the API has nothing at {rest[:100]!r}; it begins at {outside(API)}/studies")


def _style() -> Response:
    """Bootstrap's style sheet, from the package that contains it."""
    spec = find_spec("flask_bootstrap")
    if spec is None or spec.origin is None:
        raise LurkError(f"the package {STYLE_PACKAGE} is not installed")
    folder = Path(spec.origin).parent / "static" / "bootstrap5" / "css"
    return send_from_directory(folder, "bootstrap.min.css", mimetype="text/css")
