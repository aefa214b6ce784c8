"""Jobs for maps and their sanity checks: a method explains one image, and the map is stored below the index."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from lurk.errors import LurkError
from lurk.jobs.method_request import MethodRequest
from lurk.methods import METHODS, MapMethod, MapRequest
from lurk.methods.attribution.target import Target, Where, forward_to, locate_maximum
from lurk.methods.randomization_test import check_sanity
from lurk.methods.run_method import most_probable_class, run_map_method
from lurk.storage.results import read_result, to_npy, write_result
from lurk.worker.loaded_study import Context, Result, Study

Array = np.ndarray[Any, np.dtype[Any]]
_Drawn = tuple[Array, dict[str, bytes], dict[str, Any]]  # a map, further files, figures


def draw_map(request: MethodRequest, study: Study, context: Context) -> Result:
    """Draw the map of a unit on an image, and store it.

    Args:
        request: A request of kind `map`.
        study: The study.
        context: Takes the progress.

    Returns:
        The index.
    """

    def draw(method: MapMethod, of: MapRequest) -> _Drawn:
        drawn = run_map_method(method, of)
        more = {f"more-{name}.npy": to_npy(array) for name, array in drawn.more.items()}
        values = of.model.normalisation.in_order(drawn.values.detach().float().cpu().numpy())
        return values, more, {"note": drawn.note}

    return _store_map(request, study, context, draw)


def draw_sanity(request: MethodRequest, study: Study, context: Context) -> Result:
    """Check a map: draw it for the same network with randomised weights, and by the three rules of the back-signal.

    Args:
        request: A request of kind `sanity`.
        study: The study.
        context: Takes the progress.

    Returns:
        The index.
    """

    def draw(method: MapMethod, of: MapRequest) -> _Drawn:
        found = check_sanity(method, of)
        figures = {"similarity": found.similarity, "agreement": dict(found.agreement), "warning": found.warning}
        return of.model.normalisation.in_order(found.values), {}, figures

    return _store_map(request, study, context, draw)


def _store_map(
    request: MethodRequest, study: Study, context: Context, draw: Callable[[MapMethod, MapRequest], _Drawn]
) -> Result:
    """Draw a map and store it, unless the index has it already."""
    provenance = request.provenance(study.index.manifest.provenance)
    if read_result(study.index.folder, provenance.key) is None:
        began = time.monotonic()
        method, of, value = _map_request(study, request, context)
        array, more, figures = draw(method, of)
        files, scale = _map_files(array)
        figures |= scale | _target_figures(study, of.target, value) | {"seconds": time.monotonic() - began}
        write_result(study.index.folder, provenance, figures, files | more)
    return {"index": study.index.key}


def _map_request(study: Study, request: MethodRequest, context: Context) -> tuple[MapMethod, MapRequest, float]:
    """The method, its request with the position or class that is explained, and the network's value there."""
    method = METHODS[request.method]
    if not isinstance(method, MapMethod):
        raise LurkError(f"{request.method} gives no maps")
    image = study.image(request.image or 0)
    wheres: dict[str, Where] = {"maximum": "maximum", "map": "map", "class": "class"}
    target = locate_maximum(study.plan, Target(request.layer, request.units[0], wheres[request.target]), image)
    if target.where == "class":
        target = replace(target, label=most_probable_class(study.plan, image))
    with forward_to(study.plan, target) as forward, torch.no_grad():
        value = float(forward(image[None])[0])

    def report(done: int, total: int) -> None:
        context.report(done, total)
        context.give_way()

    quantiles = study.index.unit(target.layer, target.unit).quantiles
    return method, MapRequest(study.model, study.plan, image, target, dict(request.options), quantiles, report), value


def _map_files(array: Array) -> tuple[dict[str, bytes], dict[str, Any]]:
    """A map as a file of float16 shares of its largest magnitude, and that magnitude as its `scale`."""
    if not np.isfinite(array).all():
        raise LurkError("the map holds NaN or infinity; the network's values on this image are too large")
    scale = float(np.abs(array).max()) if array.size else 0.0
    return {"map.npy": to_npy((array / (scale or 1.0)).astype(np.float16))}, {"scale": scale}


def _target_figures(study: Study, target: Target, value: float) -> dict[str, Any]:
    is_class, is_position = target.where == "class", target.where == "position"
    names = study.model.classes or ()
    return {
        "value": value if np.isfinite(value) else None,
        "where": target.where,
        "row": target.row if is_position else None,
        "col": target.col if is_position else None,
        "label": target.label if is_class else None,
        "label_name": names[target.label] if is_class and target.label < len(names) else "",
    }
