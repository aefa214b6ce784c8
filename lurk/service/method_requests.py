"""Requests for pictures, maps and sanity checks: completed by what the index knows; and jobs as the page sees them."""

from dataclasses import asdict, replace
from typing import Any

from lurk.errors import LurkError
from lurk.jobs.method_request import MethodRequest
from lurk.jobs.queue import Job
from lurk.service.method_results import preview_address, result_view
from lurk.storage.index import Index
from lurk.storage.render_store import Renders
from lurk.storage.results import read_offers, read_result

SPEC_PARTS = ("layer", "unit", "units", "method", "image", "target")
HIDDEN_PARTS = ("traceback", "owner", "others")


def complete(index: Index, request: MethodRequest) -> MethodRequest:
    """Check a request against an index, and fill in the method's version and options.

    Args:
        index: The study's index.
        request: The request as it came from the page.

    Returns:
        The request as a worker needs it.

    Raises:
        LurkError: There is no such layer, unit, image or method, or they do not fit.
    """
    for unit in request.units:
        index.unit(request.layer, unit)
    for image in request.images_asked:
        if not 0 <= image < index.manifest.images:
            raise LurkError(f"image must be from 0 to {index.manifest.images - 1}, not {image}")
    methods = {method.name: method for method in read_offers(index.folder)}
    if not methods:
        raise LurkError("the model is still being loaded; ask again in a moment")
    if request.method not in methods:
        raise LurkError(f"no method is called {request.method[:40]!r}; known are: {', '.join(methods)}")
    return request.completed(methods[request.method])


def takes_long(index: Index, request: MethodRequest) -> bool:
    """Whether what somebody asks for should wait for what takes less: pictures of several units, and slow maps."""
    if request.kind == "pictures":
        return True
    is_map = request.kind in ("map", "maps")
    return is_map and any(one.many_passes for one in read_offers(index.folder) if one.name == request.method)


def missing_part(index: Index, request: MethodRequest) -> MethodRequest | None:
    """What the index does not have yet of a completed request: fewer units or images; None if it has everything."""
    if request.kind == "maps":
        ready = ready_images(index, request)
        images = tuple(image for image in dict.fromkeys(request.images) if image not in ready)
        return replace(request, images=images) if images else None
    keys = {unit: request.provenance(index.manifest.provenance, unit).key for unit in request.units}
    units = tuple(unit for unit, key in keys.items() if read_result(index.folder, key) is None)
    return replace(request, units=units) if units else None


def ready_images(index: Index, request: MethodRequest) -> list[int]:
    """The images of a request for maps whose maps are stored; none for any other request."""
    swept, each = index.manifest.provenance, request.of_each_image() if request.kind == "maps" else []
    return [one.image for one in each if one.image is not None and read_result(index.folder, one.provenance(swept).key)]


def job_view(job: Job, ahead: int) -> dict[str, Any]:
    """A job without what only the machine's owner should see; `ahead` is how many run before it."""
    parts = {name: value for name, value in asdict(replace(job, traceback=None)).items() if name not in HIDDEN_PARTS}
    spec = {"kind": job.spec.kind, "study": job.spec.study} | {name: job.spec.get(name) for name in SPEC_PARTS}
    return parts | {"spec": spec, "ahead": ahead if job.state == "queued" else 0, "people": len(job.people)}


def request_view(job: Job, ahead: int, index: Index | None, renders: Renders) -> dict[str, Any]:
    """A job of a method, with its result once it is done, and a preview while its picture is being drawn.

    Args:
        job: The job.
        ahead: How many jobs run before it.
        index: The index that it is about, None if it was deleted.
        renders: Where previews are.

    Returns:
        What `job_view` gives, with `kind`, `eta_s`, `preview`, `result`, and `ready`, the images whose maps are stored.
    """
    request, preview, result = MethodRequest.from_spec(job.spec), None, None
    if index and job.state == "running" and job.done and request.kind == "picture":
        preview = preview_address(request.provenance(index.manifest.provenance).key, renders)
    if index and job.state == "done":
        result = result_view(index, request)
    eta_s = (job.total - job.done) / job.rate if job.rate else None
    ready = ready_images(index, request) if index else []
    own = {"kind": request.kind, "eta_s": eta_s, "preview": preview, "result": result, "ready": ready}
    return job_view(job, ahead) | own | {"errors": (job.result or {}).get("errors", {})}
