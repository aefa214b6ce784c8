"""Jobs for pictures: a method draws those of several units at once; each is stored below the index with its figures."""

import time
from collections.abc import Callable
from dataclasses import asdict

from torch import Tensor

from lurk.errors import LurkError
from lurk.jobs.method_request import MethodRequest, preview_key
from lurk.methods import METHODS, PictureMethod, PictureRequest, Pictures
from lurk.methods.feature_vis.picture_evaluation import evaluate_pictures
from lurk.methods.run_method import BATCH, run_picture_method
from lurk.storage.render_store import Renders, open_renders
from lurk.storage.results import read_result, write_result
from lurk.storage.webp import COLOURS, View, encode_picture, encode_view, to_view
from lurk.worker.loaded_study import Context, Result, Study

PREVIEW_S = 0.4


def draw_pictures(request: MethodRequest, study: Study, context: Context) -> Result:
    """Draw the pictures of one unit or of several that the index does not have yet, and store them.

    Args:
        request: A request of kind `picture` or `pictures`.
        study: The study.
        context: Takes the progress.

    Returns:
        The index and the number of units whose pictures were drawn.

    Raises:
        LurkError: The method gives no pictures.
    """
    method = METHODS[request.method]
    if not isinstance(method, PictureMethod):
        raise LurkError(f"{request.method} gives no pictures")
    swept, options = study.index.manifest.provenance, dict(request.options)
    units = [u for u in request.units if read_result(study.index.folder, request.provenance(swept, u).key) is None]
    from_image = options.get("start") == "image"
    size = 1 if from_image else BATCH
    parts = [tuple(units[at : at + size]) for at in range(0, len(units), size)]
    images = study.images if "images" in method.spec.needs else None
    for number, part in enumerate(parts):
        keys = [request.provenance(swept, unit).key for unit in part]
        progress = _Progress(context, keys, number, len(parts))
        image = study.best_image(request.layer, part[0]) if from_image else None
        of = PictureRequest(study.model, study.plan, request.layer, part, options, image, images, progress.show)
        began = time.monotonic()
        drawn = run_picture_method(method, of)
        _store_pictures(study, request, part, drawn, (time.monotonic() - began) / len(part))
    return {"index": study.index.key, "drawn": len(units)}


def _store_pictures(
    study: Study, request: MethodRequest, units: tuple[int, ...], drawn: Pictures, seconds: float
) -> None:
    """Store the pictures of each unit with the values that the unit reaches on them."""
    each = len(drawn.pictures) // len(units)
    numbers = [unit for unit in units for _ in range(each)]
    reached = evaluate_pictures(study.model, study.plan, request.layer, numbers, drawn.pictures)
    for at, unit in enumerate(units):
        mine = range(at * each, (at + 1) * each)
        files = {f"picture-{n}.webp": encode_view(_view(drawn.pictures[number])) for n, number in enumerate(mine)}
        if drawn.opacity is not None:
            opacity = [_view(drawn.opacity[number][None]) for number in mine]
            files |= {f"opacity-{n}.webp": encode_view(view) for n, view in enumerate(opacity)}
        figures_of_unit = {
            "pictures": [asdict(reached[number]) for number in mine],
            "seconds": seconds,
            "batch": len(units),
            "has_opacity": drawn.opacity is not None,
        }
        write_result(
            study.index.folder, request.provenance(study.index.manifest.provenance, unit), figures_of_unit, files
        )


def _view(picture: Tensor) -> View:
    """A picture in [0, 1], float (c, h, w), as 8-bit samples."""
    return to_view(picture.detach().float().cpu().numpy())


class _Progress:
    """Reports how far a batch of pictures is, and keeps previews of them for the page.

    Args:
        context: Takes the progress.
        keys: Keys of the batch's results.
        number: Number of the batch.
        batches: Number of batches in all.
    """

    def __init__(self, context: Context, keys: list[str], number: int, batches: int) -> None:
        self._context, self._keys, self._number, self._batches = context, keys, number, batches
        self._renders: Renders = open_renders(context.cache)
        self._began = time.monotonic()
        self._last_preview_s = -PREVIEW_S
        self._paused_s = 0.0

    def show(self, done: int, total: int, pictures: Callable[[], Tensor]) -> None:
        """Report a step; where a preview is due, `pictures` is called for the pictures so far."""
        spent_s = self._spent_s()
        self._context.report(self._number * total + done, self._batches * total, "", done / spent_s if done else None)
        if spent_s - self._last_preview_s >= PREVIEW_S:
            self._preview(pictures())
            self._last_preview_s = self._spent_s()
        paused = time.monotonic()
        self._context.give_way()
        self._paused_s += time.monotonic() - paused

    def _spent_s(self) -> float:
        """Seconds spent on this batch, without those in which other jobs ran."""
        return time.monotonic() - self._began - self._paused_s

    def _preview(self, pictures: Tensor) -> None:
        each = len(pictures) // len(self._keys)
        for at, key in enumerate(self._keys):
            view = _view(pictures[at * each])
            encode = encode_picture if view.shape[2] in COLOURS else encode_view  # a sheet of planes keeps them apart
            self._renders.put(preview_key(key), encode(view))
