"""Jobs for maps and their sanity checks: a method explains images, and each map is stored below the index."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lurk.errors import Cancelled, LurkError, Paused
from lurk.graph.device import device_of
from lurk.graph.plan import Plan
from lurk.jobs.method_request import MethodRequest
from lurk.methods import METHODS, MapMethod, MapRequest, Report
from lurk.methods.attribution.cam import nearest_layers
from lurk.methods.attribution.forward_pass import Passes, forward_pass
from lurk.methods.attribution.run_map import PASS_BYTES, images_together, run_map_method
from lurk.methods.attribution.target import Target, Where, located
from lurk.methods.randomization_test import check_sanity
from lurk.storage.results import read_result, to_npy, write_result
from lurk.worker.loaded_study import Context, Result, Study
from lurk.worker.memory import memory_bytes

SHARE = 1 / 8
WHERES: dict[str, Where] = {"maximum": "maximum", "map": "map", "class": "class"}
Array = np.ndarray[Any, np.dtype[Any]]


def draw_maps(request: MethodRequest, study: Study, context: Context) -> Result:
    """Draw the maps of a unit that the index does not have yet, and store each as soon as it is there.

    Args:
        request: A request of kind `map` or `maps`.
        study: The study.
        context: Takes the progress.

    Returns:
        The index, and the errors of single images by their number, as type and message.

    Raises:
        LurkError: There is no map of any of the images.
    """
    method, swept = _map_method(request), study.index.manifest.provenance
    each = request.of_each_image()
    missing = [one for one in each if read_result(study.index.folder, one.provenance(swept).key) is None]
    together = images_together(method, study.plan, _limit_bytes())
    errors: dict[int, Exception] = {}
    for first in range(0, len(missing), together):
        part, before = missing[first : first + together], len(each) - len(missing) + first
        progress = _Progress(context, before, len(part), len(each), gives_way=method.spec.many_passes)
        errors |= _draw_part(method, part, study, progress)
    _raise(errors, len(each))
    return {
        "index": study.index.key,
        "errors": {str(image): [type(error).__name__, str(error)] for image, error in errors.items()},
    }


def draw_sanity(request: MethodRequest, study: Study, context: Context) -> Result:
    """Check a map: draw it for the same network with randomised weights, and by the three rules of the back-signal.

    Args:
        request: A request of kind `sanity`.
        study: The study.
        context: Takes the progress.

    Returns:
        The index.
    """
    method, swept = _map_method(request), study.index.manifest.provenance
    if read_result(study.index.folder, request.provenance(swept).key) is None:
        began = time.monotonic()
        seen = _seen(study, [request])
        found = check_sanity(method, _map_request(study, request, seen, _Progress(context, 0, 1, 1).report))
        figures = {"similarity": found.similarity, "agreement": dict(found.agreement), "warning": found.warning}
        figures |= _target_figures(study, seen, 0) | {"seconds": time.monotonic() - began}
        _store(study, request, study.model.normalisation.in_order(found.values), figures, {})
    return {"index": study.index.key}


def _map_method(request: MethodRequest) -> MapMethod:
    method = METHODS[request.method]
    if not isinstance(method, MapMethod):
        raise LurkError(f"{request.method} gives no maps")
    return method


def _limit_bytes() -> int:
    """Memory that one forward pass with gradients may take, and that a kept one may."""
    return min(PASS_BYTES, int(memory_bytes() * SHARE))


def _raise(errors: Mapping[int, Exception], images: int) -> None:
    """Raise the error of an image that is no user's mistake, or the first one if there is no map at all."""
    unexpected = next((error for error in errors.values() if not isinstance(error, LurkError)), None)
    if unexpected or len(errors) == images > 0:
        raise unexpected or next(iter(errors.values()))


class _Progress:
    """Reports how far a job is, while it draws the maps of some of its images.

    Args:
        context: Takes the progress.
        before: How many images of the job were dealt with before.
        now: How many are drawn now.
        images: How many the job has.
        gives_way: Whether it also steps aside for jobs of its own lane.
    """

    def __init__(self, context: Context, before: int, now: int, images: int, *, gives_way: bool = False) -> None:
        self._context, self._before, self._now, self._images = context, before, now, images
        self._gives_way = gives_way
        self._began = time.monotonic()

    def report(self, done: int, total: int) -> None:
        """Report a step, and step aside if another job should run first; images that are stored are not drawn again."""
        steps = done * self._now
        rate = steps / max(time.monotonic() - self._began, 1e-6) if done else None
        self._context.report(self._before * total + steps, self._images * total, "", rate)
        self._context.step_aside(is_seen=self._gives_way, is_draft=False)


def _draw_part(
    method: MapMethod, part: Sequence[MethodRequest], study: Study, progress: _Progress
) -> dict[int, Exception]:
    """Draw and store some maps at once; one by one if that fails, so that one image does not spoil the others.

    Args:
        method: The method.
        part: Requests that differ in the image alone.
        study: The study.
        progress: Takes the progress.

    Returns:
        The errors by the number of the image.
    """
    try:
        _draw_together(method, part, study, progress.report)
    except (Cancelled, Paused):
        raise
    except Exception as error:  # the model is the user's code, and an image may be damaged
        if len(part) == 1:
            return {part[0].images_asked[0]: error}
        errors: dict[int, Exception] = {}
        for one in part:
            errors |= _draw_part(method, [one], study, progress)
        return errors
    return {}


def _draw_together(method: MapMethod, part: Sequence[MethodRequest], study: Study, report: Report) -> None:
    began = time.monotonic()
    seen = _seen(study, part)
    drawn = run_map_method(method, _map_request(study, part[0], seen, report))
    seconds = (time.monotonic() - began) / len(part)
    values = drawn.values.detach().float().cpu().numpy()
    for at, request in enumerate(part):
        more = {f"more-{name}.npy": to_npy(table[at]) for name, table in drawn.more.items()}
        figures = {"note": drawn.notes.get(at, ""), "seconds": seconds} | _target_figures(study, seen, at)
        _store(study, request, study.model.normalisation.in_order(values[at]), figures, more)


@dataclass(frozen=True)
class _Seen:
    """Images of a study as the network saw them.

    Args:
        about: The layer, the unit, the target and the images that it is about, and the plan.
        images: float (n, c, h, w).
        target: The target, with the position of its maximum or the most probable class of each image.
        values: The network's value of the target for each image.
        passes: Keeps the forward pass; None on a device that the network leaves between two jobs.
    """

    about: tuple[Plan, str, int, str, tuple[int, ...]]
    images: Tensor
    target: Target
    values: list[float]
    passes: Passes | None


_LATEST: list[_Seen] = []  # at most one: what the last job saw, which the next method often sees again


def _seen(study: Study, part: Sequence[MethodRequest]) -> _Seen:
    """Run the network on the images of some requests, unless the last job ran it on the same ones."""
    first, numbers = part[0], tuple(one.images_asked[0] for one in part)
    about = (study.plan, first.layer, first.units[0], first.target, numbers)
    if not (_LATEST and _LATEST[0].about == about and _LATEST[0].images.device == device_of(study.model.module)):
        _LATEST.clear()
        _LATEST.append(_look(study, about))
    return _LATEST[0]


def _look(study: Study, about: tuple[Plan, str, int, str, tuple[int, ...]]) -> _Seen:
    plan, layer, unit, where, numbers = about
    images = torch.stack([study.image(number) for number in numbers])
    target = Target(layer, unit, WHERES[where])
    passes = Passes(_limit_bytes()) if images.device.type == "cpu" else None
    layers = [] if plan.graph is None else [*nearest_layers(plan, target), layer]
    with forward_pass(plan, target, images, layers, passes) as done:
        if target.where == "class":
            target = replace(target, label=tuple(done.reached.class_probabilities.argmax(1).tolist()))
        values = target.value(done.reached).tolist()
        return _Seen(about, images, located(target.of(range(len(numbers))), done.reached), values, passes)


def _map_request(study: Study, request: MethodRequest, seen: _Seen, report: Report) -> MapRequest:
    quantiles = study.index.unit(request.layer, request.units[0]).quantiles
    options = dict(request.options)
    return MapRequest(study.model, study.plan, seen.images, seen.target, options, quantiles, report, seen.passes)


def _store(
    study: Study, request: MethodRequest, array: Array, figures: Mapping[str, Any], more: Mapping[str, bytes]
) -> None:
    files, scale = _map_files(array)
    provenance = request.provenance(study.index.manifest.provenance)
    write_result(study.index.folder, provenance, {**figures, **scale}, {**files, **more})


def _map_files(array: Array) -> tuple[dict[str, bytes], dict[str, Any]]:
    """A map as a file of float16 shares of its largest magnitude, and that magnitude as its `scale`."""
    if not np.isfinite(array).all():
        raise LurkError("the map holds NaN or infinity; the network's values on this image are too large")
    scale = float(np.abs(array).max()) if array.size else 0.0
    return {"map.npy": to_npy((array / (scale or 1.0)).astype(np.float16))}, {"scale": scale}


def _target_figures(study: Study, seen: _Seen, at: int) -> dict[str, Any]:
    target, value = seen.target.of([at]), seen.values[at]
    is_class, is_position = target.where == "class", target.where == "position"
    names, label = study.model.classes or (), target.label if isinstance(target.label, int) else 0
    return {
        "value": value if np.isfinite(value) else None,
        "where": target.where,
        "row": target.row if is_position else None,
        "col": target.col if is_position else None,
        "label": label if is_class else None,
        "label_name": names[label] if is_class and label < len(names) else "",
    }
