"""The picture that is drawn for a unit: the stored one, else it is drawn now and stored, as a worker does it."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from lurk.config.options import Settings
from lurk.errors import IndexFormatError, LurkError, ModelError
from lurk.graph.device import choose_device, moved_to
from lurk.images.image_set import ImageSet
from lurk.jobs.method_request import DEFAULT_PICTURE, MethodRequest
from lurk.jobs.queue import Queue
from lurk.methods.run_method import method_specs
from lurk.service.method_requests import complete, missing_part
from lurk.service.method_results import result_view
from lurk.storage.results import publish_offers, read_offers, read_result
from lurk.storage.webp import decode_view
from lurk.worker.loaded_study import Study
from lurk.worker.picture_tasks import draw_pictures

if TYPE_CHECKING:
    from lurk.library.index import Index


@dataclass(frozen=True)
class Drawn:
    """Stored pictures of a unit.

    Args:
        method: Name of the method.
        webp: The pictures.
        aspects: Height of each as a share of its width.
        reached: What was measured with each, as the page has it.
    """

    method: str
    webp: tuple[bytes, ...]
    aspects: tuple[float, ...]
    reached: tuple[dict[str, Any], ...]

    @staticmethod
    def table(reached: dict[str, Any]) -> list[tuple[str, float | None]]:
        """What the unit gives for a picture and for the best real image: the highest value and the mean."""
        return [
            ("highest value", reached["reached_max"]),
            ("mean", reached["reached_mean"]),
            ("best real image, highest value", reached["best_real_max"]),
            ("best real image, mean", reached["best_real_mean"]),
        ]


class _NotebookStudy(Study):
    """The study of an index that has its images already."""

    given: ImageSet

    @cached_property
    def images(self) -> ImageSet:
        """The image set of the index."""
        return self.given


class _Quiet:
    """Takes the progress of a picture and shows none."""

    queue: Queue | None = None

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self.kept: dict[str, Any] = {}

    def report(self, done: int, total: int, note: str = "", rate: float | None = None) -> None:
        """Nothing is shown."""

    def give_way(self) -> None:
        """Nothing else waits."""

    def step_aside(self, *, is_seen: bool, is_draft: bool) -> None:
        """Nothing else waits."""


def stored_picture(index: "Index", layer: str, unit: int) -> Drawn | None:
    """The stored default picture of a unit; None if there is none.

    Args:
        index: The index.
        layer: Name of the layer.
        unit: Channel number.

    Returns:
        The picture with its figures.
    """
    if not read_offers(index.folder):
        return None
    try:
        request = complete(index.stored, MethodRequest("picture", layer, (unit,)))
    except LurkError:
        return None  # this network has no such picture
    found = result_view(index.stored, request)
    result = read_result(index.folder, request.provenance(index.manifest.provenance).key)
    if found is None or result is None:
        return None
    webp = tuple(result.read(f"picture-{number}.webp") for number in range(len(found["pictures"])))
    shapes = [decode_view(data, index.manifest.input_shape[0]).shape for data in webp]
    return Drawn(request.method, webp, tuple(shape[0] / shape[1] for shape in shapes), tuple(found["pictures"]))


def draw_picture(index: "Index", layer: str, unit: int, device: str = "auto") -> Drawn:
    """The default picture of a unit, drawn now and stored if the index does not have it.

    Args:
        index: The index.
        layer: Name of the layer.
        unit: Channel number.
        device: Where it is drawn.

    Returns:
        The picture with its figures.

    Raises:
        LurkError: It is not stored, and the index does not know its model or the method does not work for it.
        ModelError: The model has other weights now than when it was swept.
    """
    stored = stored_picture(index, layer, unit)
    if stored is not None:
        return stored
    model = index.model
    if model is None:
        raise LurkError(
            f"unit {unit} of {layer} has no picture yet; lurk.Index(folder, model=model) draws and keeps it, "
            f"lurk.visualize(model, {layer!r}, {unit}) only draws it"
        )
    if index.stale:
        raise ModelError(index.stale)
    with torch.inference_mode(False), moved_to(model.module, choose_device(device)):
        study = _NotebookStudy(model, index.stored, Settings())
        if index.images is not None:
            study.given = index.images
        if not read_offers(index.folder):
            publish_offers(index.folder, method_specs(study.plan))
        request = complete(index.stored, MethodRequest("picture", layer, (unit,), DEFAULT_PICTURE))
        if missing_part(index.stored, request):
            draw_pictures(request, study, _Quiet(index.folder.parent.parent))
    drawn = stored_picture(index, layer, unit)
    if drawn is None:
        raise IndexFormatError(f"the picture of unit {unit} of {layer} was drawn and cannot be read; draw it again")
    return drawn
