"""The addresses beside the page: the JSON API, images by key, health, and Bootstrap's style sheet."""

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask, Response, request, send_from_directory
from werkzeug.exceptions import BadRequest

from lurk.errors import LurkError
from lurk.service.grid_view import SORTS
from lurk.service.service import Service
from lurk.service.study_view import StudyView
from lurk.service.urls import MEDIA, PREVIEW
from lurk.web.ui import job_routes
from lurk.web.ui.addresses import API, find_layer, find_study, find_unit
from lurk.web.ui.login_routes import person
from lurk.web.ui.responses import answer

STYLE = "/vendor/bootstrap.min.css"
UNITS = "/studies/<study>/layers/<path:layer>/units"
KEPT = "private, max-age=31536000, immutable"
LARGEST_NUMBER = 10**9

View = Callable[..., Response]


def register(server: Flask, service: Service) -> None:
    """Add the routes to an app.

    Args:
        server: The app.
        service: What they ask.
    """
    api = Blueprint("api", __name__, url_prefix=API)
    for path, view in _readers().items():
        api.add_url_rule(path, path, partial(view, service), methods=["GET"])
    for path, view in _writers().items():
        api.add_url_rule(path, "post " + path, partial(view, service), methods=["POST"])
    api.add_url_rule("/", "nothing", _nothing)
    api.add_url_rule("/<path:rest>", "nothing more", _nothing)
    server.register_blueprint(api)
    for path, view in _others().items():
        server.add_url_rule(path, "lurk " + path, partial(view, service))
    server.add_url_rule(STYLE, "lurk style", _style)


def _readers() -> dict[str, View]:
    return {
        "/studies": studies,
        "/studies/<study>": study,
        "/studies/<study>/skipped": skipped,
        "/studies/<study>/methods": job_routes.methods,
        "/studies/<study>/layers": layers,
        "/studies/<study>/layers/<path:layer>/pictures": job_routes.pictures,
        UNITS: units,
        UNITS + "/<int(signed=True):unit>": unit,
        "/jobs": job_routes.jobs,
        "/jobs/<key>": job_routes.job,
        "/me": me,
    }


def _writers() -> dict[str, View]:
    return {
        "/studies/<study>/cancel": cancel,
        "/studies/<study>/resume": resume,
        "/jobs": job_routes.submit,
        "/jobs/<key>/cancel": job_routes.cancel_job,
    }


def me(_service: Service) -> Response:
    """Who asks, and what they may do."""
    return answer({"name": person().name, "role": person().role})


def _others() -> dict[str, View]:
    return {
        f"{MEDIA}<path:key>": media,
        f"{PREVIEW}<key>": job_routes.preview,
        "/healthz": health,
        "/readyz": ready,
        "/metrics": metrics,
    }


def study_json(service: Service, view: StudyView) -> dict[str, Any]:
    """A study with the state of its sweep."""
    status = service.status(view.name)
    return {
        "name": view.name,
        "title": view.title,
        "model": view.model,
        "images": view.images,
        "layers": view.layers,
        "units": view.units,
        "swept": view.swept,
        "preprocessing": view.preprocessing,
        "weight_hash": view.weight_hash,
        **status,
        "may_cancel": person().is_admin,
        "notice": view.notice or status["notice"],
        "weights": view.weights or status["weights"],
    }


def studies(service: Service) -> Response:
    """All studies."""
    return answer([study_json(service, view) for view in service.studies()])


def study(service: Service, study: str) -> Response:
    """One study and the state of its sweep: what the page polls."""
    return answer(study_json(service, find_study(service, study)))


def skipped(service: Service, study: str) -> Response:
    """The images that could not be used."""
    find_study(service, study)
    return answer(service.skipped(study))


def layers(service: Service, study: str) -> Response:
    """Layers of a study."""
    find_study(service, study)
    return answer(service.layers(study))


def units(service: Service, study: str, layer: str) -> Response:
    """Units of a layer in the order asked for, with their sprites."""
    find_layer(service, study, layer)
    sort = request.args.get("sort", "unit")
    if sort not in SORTS:
        raise BadRequest(f"cannot sort by {sort!r}; sort by one of {', '.join(SORTS)}")
    return answer(service.grid(study, layer, sort, _count("limit"), _count("offset") or 0))


def _count(argument: str) -> int | None:
    text = request.args.get(argument)
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
    """Go on with a study's sweep."""
    view = find_study(service, study)
    service.resume(study, person())
    return answer(study_json(service, view), 202)


def media(service: Service, key: str) -> Response:
    """An image by key; what a key names never changes."""
    found = service.media(key)
    if found is None:
        raise LurkError("there is no such image")
    body, mimetype = found
    return Response(body, 200, {"Cache-Control": KEPT}, mimetype=mimetype)


def health(service: Service) -> Response:
    """That the process answers; says nothing else."""
    service.health()
    return Response("", 200, {"Cache-Control": "no-store"}, mimetype="text/plain")


def ready(service: Service) -> Response:
    """Whether every index can be read and a worker is alive."""
    is_ready, details = service.ready()
    return answer({"ready": is_ready, **details}, 200 if is_ready else 503)


def metrics(service: Service) -> Response:
    """Figures for Prometheus."""
    return Response(service.metrics(), 200, {"Cache-Control": "no-store"}, content_type="text/plain; version=0.0.4")


def _nothing(rest: str = "") -> Response:
    raise LurkError(f"the API has nothing at {rest[:100]!r}; it begins at {API}/studies")


def _style() -> Response:
    """Bootstrap's style sheet, out of the package that brings it."""
    spec = find_spec("flask_bootstrap")
    if spec is None or spec.origin is None:
        raise LurkError("the package bootstrap-flask is not installed")
    folder = Path(spec.origin).parent / "static" / "bootstrap5" / "css"
    return send_from_directory(folder, "bootstrap.min.css", mimetype="text/css", max_age=86400)
