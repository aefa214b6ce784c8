"""The addresses beside the page: the JSON API, images by key, health, and Bootstrap's style sheet."""

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask, Response, request, send_from_directory
from werkzeug.exceptions import BadRequest

from lurk.errors import LurkError
from lurk.records import LayerInfo
from lurk.service import Service
from lurk.ui.answers import answer
from lurk.ui.bodies import name, number, part
from lurk.views import SORTS, StudyView

API = "/api/v1"
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
        "/studies/<study>/layers": layers,
        UNITS: units,
        UNITS + "/<int(signed=True):unit>": unit,
        "/jobs": jobs,
        "/jobs/<key>": job,
    }


def _writers() -> dict[str, View]:
    return {
        "/studies/<study>/cancel": cancel,
        "/studies/<study>/resume": resume,
        "/jobs": submit,
        "/jobs/<key>/cancel": cancel_job,
    }


def _others() -> dict[str, View]:
    return {"/media/<path:key>": media, "/healthz": health, "/readyz": ready, "/metrics": metrics}


def study_json(service: Service, view: StudyView) -> dict[str, Any]:
    """A study with the state of its sweep."""
    status = service.status(view.name)
    return {
        "name": view.name,
        "title": view.title,
        "model": view.model,
        "images": view.images,
        **status,
        "notice": view.notice or status["notice"],
        "weights": view.weights or status["weights"],
    }


def known_study(service: Service, study: str) -> StudyView:
    """A study by name.

    Args:
        service: Who knows the studies.
        study: The name.

    Returns:
        The study.

    Raises:
        LurkError: There is none of that name.
    """
    found = service.study(study)
    if found is None:
        names = ", ".join(view.name for view in service.studies()) or "none"
        raise LurkError(f"no study is called {study!r}; known are: {names}")
    return found


def known_layer(service: Service, study: str, layer: str) -> LayerInfo:
    """A layer of a study by name.

    Args:
        service: Who knows the layers.
        study: Name of the study.
        layer: Name of the layer.

    Returns:
        The layer.

    Raises:
        LurkError: There is none of that name.
    """
    known_study(service, study)
    found = {info.name: info for info in service.layers(study)}
    if layer not in found:
        raise LurkError(f"study {study!r} has no layer called {layer!r}; {API}/studies/{study}/layers lists them")
    return found[layer]


def studies(service: Service) -> Response:
    """All studies."""
    return answer([study_json(service, view) for view in service.studies()])


def study(service: Service, study: str) -> Response:
    """One study and the state of its sweep: what the page polls."""
    return answer(study_json(service, known_study(service, study)))


def skipped(service: Service, study: str) -> Response:
    """The images that could not be used."""
    known_study(service, study)
    return answer(service.skipped(study))


def layers(service: Service, study: str) -> Response:
    """Layers of a study."""
    known_study(service, study)
    return answer(service.layers(study))


def units(service: Service, study: str, layer: str) -> Response:
    """Units of a layer in the order asked for, with their sprites."""
    known_layer(service, study, layer)
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
    return answer(known_unit(service, study, layer, unit).to_json() | {"study": study})


def known_unit(service: Service, study: str, layer: str, unit: int) -> Any:
    """A unit of a layer.

    Args:
        service: Who knows the units.
        study: Name of the study.
        layer: Name of the layer.
        unit: Channel number.

    Returns:
        The service's view of it.

    Raises:
        LurkError: There is none of that number.
    """
    info = known_layer(service, study, layer)
    if not 0 <= unit < info.units:
        raise LurkError(f"layer {layer!r} has units 0 to {info.units - 1}, not {unit}")
    return service.unit(study, layer, unit)


def jobs(service: Service) -> Response:
    """All jobs."""
    return answer(service.jobs())


def job(service: Service, key: str) -> Response:
    """One job."""
    return answer(_found(service.job(key), key))


def _found(job: dict[str, Any] | None, key: str) -> dict[str, Any]:
    if job is None:
        raise LurkError(f"there is no job {key[:64]!r}")
    return job


def submit(service: Service) -> Response:
    """Ask for a job: `{"kind": "verify", "study": …, "layer": …, "unit": …}`."""
    body = request.get_json(silent=True)
    if part(body, "kind") != "verify":
        raise BadRequest("the only kind of job that can be asked for is 'verify'")
    where = name(part(body, "study")), name(part(body, "layer")), number(part(body, "unit"))
    known_unit(service, *where)
    key = service.verify(*where)
    return answer(service.job(key) or {"key": key}, 202)


def cancel(service: Service, study: str) -> Response:
    """Stop a study's sweep."""
    view = known_study(service, study)
    service.cancel(study)
    return answer(study_json(service, view), 202)


def resume(service: Service, study: str) -> Response:
    """Go on with a study's sweep."""
    view = known_study(service, study)
    service.resume(study)
    return answer(study_json(service, view), 202)


def cancel_job(service: Service, key: str) -> Response:
    """Stop a job."""
    return answer(_found(service.cancel_job(key), key), 202)


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
