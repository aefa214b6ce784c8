"""Jobs for pictures: a method draws those of several units at once; each is stored below the index with its figures."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import Tensor

from lurk.errors import LurkError
from lurk.jobs.method_request import MethodRequest, preview_key
from lurk.methods import METHODS, PictureMethod, PictureRequest, Pictures
from lurk.methods.feature_vis.picture_evaluation import evaluate_pictures
from lurk.methods.feature_vis.transforms import resize
from lurk.methods.run_method import BATCH, run_picture_method
from lurk.storage.index import Index
from lurk.storage.render_store import Renders, open_renders
from lurk.storage.results import read_result, write_result
from lurk.storage.webp import COLOURS, View, encode_picture, encode_view, to_view
from lurk.worker.loaded_study import Context, Result, Study

FIRST_PREVIEW_S, PREVIEW_GROWTH = 0.1, 1.6
PREVIEW_PIXELS, PREVIEW_QUALITY = 112, 75
LEAST_SPREAD = 3 / 255
DRAFT_STEPS = 64


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
    kept = context.kept
    if kept.get("model") is not study.model:
        kept.clear()
        kept |= {"model": study.model, "batches": _batches(request, study)}
    batches: list[_Batch] = kept["batches"]
    for number, batch in enumerate(batches):
        if not batch.is_stored:
            _draw_batch(method, request, study, _Progress(context, request, study.index, batches, number))
    return {"index": study.index.key, "drawn": sum(len(batch.units) for batch in batches)}


@dataclass
class _Batch:
    """Units whose pictures are drawn together, and how far they are.

    Args:
        units: Channel numbers.
        seconds: How long they have been drawn.
        is_stored: Whether the index has their pictures.
        kept: What the method goes on with after a pause.
    """

    units: tuple[int, ...]
    seconds: float = 0.0
    is_stored: bool = False
    kept: dict[str, Any] = field(default_factory=dict)


def _batches(request: MethodRequest, study: Study) -> list[_Batch]:
    """The units of a request whose pictures the index does not have."""
    swept, folder = study.index.manifest.provenance, study.index.folder
    units = [unit for unit in request.units if read_result(folder, request.provenance(swept, unit).key) is None]
    size = 1 if dict(request.options).get("start") == "image" else BATCH
    return [_Batch(tuple(units[at : at + size])) for at in range(0, len(units), size)]


def _draw_batch(method: PictureMethod, request: MethodRequest, study: Study, progress: "_Progress") -> None:
    """Draw and store the pictures of a batch, which goes on where it was paused."""
    batch, options = progress.batch, dict(request.options)
    images = study.images if "images" in method.spec.needs else None
    image = study.best_image(request.layer, batch.units[0]) if options.get("start") == "image" else None
    try:
        drawn = run_picture_method(
            method,
            PictureRequest(
                study.model, study.plan, request.layer, batch.units, options, image, images, progress.show, batch.kept
            ),
        )
    finally:
        batch.seconds = progress.spent_s
    _store_pictures(study, request, batch.units, drawn, batch.seconds / len(batch.units))
    batch.is_stored = True
    batch.kept.clear()


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

    A preview is made as soon as there is more to see than grey, and then each time that 1.6 times as long was drawn:
    a picture changes most at first. So a picture of 10 s has nine previews.

    Args:
        context: Takes the progress.
        request: The request.
        index: Index of the study.
        batches: The batches of the request.
        number: Number of this one.
    """

    def __init__(
        self, context: Context, request: MethodRequest, index: Index, batches: list[_Batch], number: int
    ) -> None:
        self._context, self._number, self._batches = context, number, len(batches)
        self.batch = batches[number]
        swept = index.manifest.provenance
        self._keys = [preview_key(request.provenance(swept, unit).key) for unit in self.batch.units]
        self._shows_one = request.kind == "picture"
        self._renders: Renders = open_renders(context.cache)
        self._began, self._before_s = time.monotonic(), self.batch.seconds
        self._due_s = self.spent_s + FIRST_PREVIEW_S
        self._is_seen = bool(self._before_s)

    @property
    def spent_s(self) -> float:
        """Seconds for which the batch has been drawn."""
        return self._before_s + time.monotonic() - self._began

    def show(self, done: int, total: int, pictures: Callable[[], Tensor]) -> None:
        """Report a step; where a preview is due, `pictures` is called for the pictures so far."""
        rate = done / max(self.spent_s, 1e-6)
        self._context.report(self._number * total + done, self._batches * total, "", rate)
        if self.spent_s >= self._due_s:
            self._preview(pictures())
        is_draft = self._number > 0 or done >= DRAFT_STEPS
        self._context.step_aside(is_seen=self._is_seen if self._shows_one else is_draft, is_draft=is_draft)

    def _preview(self, pictures: Tensor) -> None:
        """Keep previews, unless all are grey."""
        each = len(pictures) // len(self._keys)
        height, width = pictures.shape[2:]
        scale = min(1.0, PREVIEW_PIXELS / max(height, width))
        small = resize(pictures[::each], (max(1, round(height * scale)), max(1, round(width * scale))))
        self._due_s = self.spent_s + FIRST_PREVIEW_S
        if float(small.std(dim=(2, 3)).max()) < LEAST_SPREAD:
            return
        for key, picture in zip(self._keys, small, strict=True):
            view = _view(picture)
            is_colour = view.shape[2] in COLOURS  # a sheet of planes keeps them apart
            self._renders.put(key, encode_picture(view, quality=PREVIEW_QUALITY) if is_colour else encode_view(view))
        self._is_seen, self._due_s = True, max(self.spent_s * PREVIEW_GROWTH, self._due_s)
