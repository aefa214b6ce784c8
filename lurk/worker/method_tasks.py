"""What a worker does with a request for pictures, a map or a sanity check: method -> results below the index."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor

from lurk.config.settings import Settings
from lurk.errors import ImagesError, LurkError
from lurk.images.image_set import ImageSet
from lurk.jobs.method_request import Ask
from lurk.jobs.queue import Queue
from lurk.methods import METHODS, MapMethod, MapRequest, PictureMethod, PictureRequest, Pictures
from lurk.methods.attribution.target import Target, Where, explaining, settled
from lurk.methods.feature_vis.picture_evaluation import figures
from lurk.methods.randomization_test import check
from lurk.methods.run_method import BATCH, draw, explain, most_probable, on_device, preprocessed
from lurk.models.model import Model
from lurk.records import JobSpec
from lurk.storage.index import Index
from lurk.storage.manifest import index_folder
from lurk.storage.renders import Renders, open_renders
from lurk.storage.results import read_result, to_npy, write_result
from lurk.storage.webp import View, encode_picture, encode_view, to_view
from lurk.worker.model_cache import images_of, model_of

if TYPE_CHECKING:
    from lurk.graph.plan import Plan

PREVIEW_S = 0.4
Result = dict[str, object]
Array = np.ndarray[Any, np.dtype[Any]]
_Made = tuple[Array, dict[str, bytes], dict[str, Any]]  # a map, further files, figures


class Context(Protocol):
    """What a worker gives to a task."""

    @property
    def cache(self) -> Path:
        """The cache directory."""

    @property
    def queue(self) -> Queue | None:
        """Where a task may ask for more jobs, None where there is no queue."""

    def report(self, done: int, total: int, note: str = "", rate: float | None = None) -> None:
        """Tell the progress; raises Cancelled when the job is to stop."""

    def give_way(self) -> None:
        """Let more urgent jobs run now."""


@dataclass
class Study:
    """What a request is about: a model on its device, its index and its image set.

    Args:
        model: The model of the index.
        index: The index.
        settings: How to load the images.
    """

    model: Model
    index: Index
    settings: Settings

    @property
    def plan(self) -> "Plan":
        """The layers as the sweep chose them."""
        expression = dict(self.index.manifest.provenance.parameters)["layers"]
        return self.model.plan(None if expression is None else str(expression))

    @cached_property
    def images(self) -> ImageSet:
        """The image set of the index."""
        return images_of(self.index, self.settings)

    def image(self, number: int) -> Tensor:
        """An image as the network takes it, float (c, h, w)."""
        if not 0 <= number < len(self.images):
            raise ImagesError(f"there is no image {number}; the image set has {len(self.images)}")
        return preprocessed(self.model, self.images.read(number))

    def best_image(self, layer: str, unit: int) -> Tensor:
        """The image with a unit's highest value so far, from which its picture may start."""
        hits = self.index.unit(layer, unit).hits_max
        if not hits:
            raise ImagesError("no image has been through this unit yet; start from noise")
        return self.image(hits[0].image)


@contextmanager
def _study(spec: JobSpec, context: Context) -> Iterator[Study]:
    """Load what a request is about, and put the model on its device meanwhile."""
    settings = Settings.from_spec(spec, context.cache)
    index = Index(index_folder(context.cache, str(spec.get("index")))).open_all()
    model = model_of(index, settings)
    with torch.inference_mode(False), on_device(model, settings.device):
        yield Study(model, index, settings)


def draw_pictures(spec: JobSpec, context: Context) -> Result:
    """Draw the pictures of one unit or of several.

    Args:
        spec: A job of kind `picture` or `pictures`.
        context: Who hears of the progress.

    Returns:
        The index and the number of pictures that were drawn.

    Raises:
        LurkError: The method gives no pictures.
    """
    asked = Ask.from_spec(spec)
    method = METHODS[asked.method]
    if not isinstance(method, PictureMethod):
        raise LurkError(f"{asked.method} gives no pictures")
    with _study(spec, context) as study:
        swept = study.index.manifest.provenance
        there = {
            unit: read_result(study.index.folder, asked.provenance(swept, unit).key) is not None for unit in asked.units
        }
        units = [unit for unit in asked.units if not there[unit]]
        options = dict(asked.options)
        from_image = options.get("start") == "image"
        most = 1 if from_image else BATCH
        parts = [tuple(units[at : at + most]) for at in range(0, len(units), most)]
        for number, part in enumerate(parts):
            watch = _Watch(context, study, asked, part, (number, len(parts)))
            image = study.best_image(asked.layer, part[0]) if from_image else None
            images = study.images if "images" in method.spec.needs else None
            request = PictureRequest(study.model, study.plan, asked.layer, part, options, image, images, watch.show)
            began = time.monotonic()
            drawn = draw(method, request)
            _keep_pictures(study, asked, part, drawn, (time.monotonic() - began) / len(part))
    return {"index": study.index.key, "drawn": len(units)}


def _keep_pictures(study: Study, asked: Ask, units: tuple[int, ...], drawn: Pictures, seconds: float) -> None:
    """Put the pictures of each unit into place, each with what it reaches."""
    each = len(drawn.pictures) // len(units)
    numbers = [unit for unit in units for _ in range(each)]
    reached = figures(study.model, study.plan, asked.layer, numbers, drawn.pictures)
    pictures = [_view(picture) for picture in drawn.pictures]
    for at, unit in enumerate(units):
        mine = range(at * each, (at + 1) * each)
        files = {f"picture-{place}.webp": encode_view(pictures[number]) for place, number in enumerate(mine)}
        if drawn.opacity is not None:
            shares = [_view(drawn.opacity[number][None]) for number in mine]
            files |= {f"opacity-{place}.webp": encode_view(share) for place, share in enumerate(shares)}
        told = {"pictures": [asdict(reached[number]) for number in mine], "seconds": seconds, "batch": len(units)}
        told["has_opacity"] = drawn.opacity is not None
        write_result(study.index.folder, asked.provenance(study.index.manifest.provenance, unit), told, files)


def _view(picture: Tensor) -> View:
    """A picture in [0, 1], float (c, h, w), as 8-bit samples."""
    channels = len(picture)
    return to_view(picture.detach().float().cpu().numpy(), (0.0,) * channels, (1.0,) * channels)


class _Watch:
    """Tells the progress of a batch of pictures, and shows how far they are."""

    def __init__(
        self, context: Context, study: Study, asked: Ask, units: tuple[int, ...], part: tuple[int, int]
    ) -> None:
        self._context, self._study, self._asked, self._units, self._part = context, study, asked, units, part
        self._renders: Renders = open_renders(context.cache)
        self._began = time.monotonic()
        self._shown = -PREVIEW_S
        self._held_up_s = 0.0

    def show(self, done: int, total: int, pictures: object) -> None:
        """Note a step; `pictures` is called for the pictures so far where it is time to show them."""
        number, parts = self._part
        spent_s = time.monotonic() - self._began - self._held_up_s
        rate = done / spent_s if done else None
        self._context.report(number * total + done, parts * total, "", rate)
        if callable(pictures) and spent_s - self._shown >= PREVIEW_S:
            self._preview(pictures())
            self._shown = time.monotonic() - self._began - self._held_up_s
        began = time.monotonic()
        self._context.give_way()
        self._held_up_s += time.monotonic() - began

    def _preview(self, pictures: Tensor) -> None:
        each = len(pictures) // len(self._units)
        swept = self._study.index.manifest.provenance
        for at, unit in enumerate(self._units):
            key = self._asked.provenance(swept, unit).key
            self._renders.put(f"preview/{key}", encode_picture(_view(pictures[at * each])))


def draw_map(spec: JobSpec, context: Context) -> Result:
    """Draw the map of a unit on an image.

    Args:
        spec: A job of kind `map`.
        context: Who hears of the progress.

    Returns:
        The index.
    """

    def draw(method: MapMethod, request: MapRequest) -> _Made:
        made = explain(method, request)
        more = {f"more-{name}.npy": to_npy(array) for name, array in made.more.items()}
        return made.values.detach().float().cpu().numpy(), more, {}

    return _keep_map(spec, context, draw)


def draw_sanity(spec: JobSpec, context: Context) -> Result:
    """Check a map: draw it for the same network with randomised weights, and by the three rules of the back-signal.

    Args:
        spec: A job of kind `sanity`.
        context: Who hears of the progress.

    Returns:
        The index.
    """

    def draw(method: MapMethod, request: MapRequest) -> _Made:
        found = check(method, request)
        figures = {"similarity": found.similarity, "agreement": dict(found.agreement), "warning": found.warning}
        return found.values, {}, figures

    return _keep_map(spec, context, draw)


def _keep_map(spec: JobSpec, context: Context, draw: Callable[[MapMethod, MapRequest], _Made]) -> Result:
    """Draw what a job asks for, unless it is there, and keep it."""
    asked = Ask.from_spec(spec)
    with _study(spec, context) as study:
        key = asked.provenance(study.index.manifest.provenance)
        if read_result(study.index.folder, key.key) is None:
            began = time.monotonic()
            method, request, value = _map_request(study, asked, context)
            array, more, figures = draw(method, request)
            files, told = _map_files(array)
            told |= figures | _target_figures(study, request.target, value) | {"seconds": time.monotonic() - began}
            write_result(study.index.folder, key, told, files | more)
    return {"index": study.index.key}


def _map_request(study: Study, asked: Ask, context: Context) -> tuple[MapMethod, MapRequest, float]:
    """The request of a map, its target settled, and the target's number."""
    method = METHODS[asked.method]
    if not isinstance(method, MapMethod):
        raise LurkError(f"{asked.method} gives no maps")
    image = study.image(asked.image or 0)
    wheres: dict[str, Where] = {"maximum": "maximum", "map": "map", "class": "class"}
    target = settled(study.plan, Target(asked.layer, asked.units[0], wheres[asked.target]), image)
    if target.where == "class":
        target = replace(target, label=most_probable(study.plan, image))
    with explaining(study.plan, target) as forward, torch.no_grad():
        value = float(forward(image[None])[0])

    def report(done: int, total: int) -> None:
        context.report(done, total)
        context.give_way()

    quantiles = study.index.unit(target.layer, target.unit).quantiles
    return method, MapRequest(study.model, study.plan, image, target, dict(asked.options), quantiles, report), value


def _map_files(array: Array) -> tuple[dict[str, bytes], dict[str, Any]]:
    """A map as a file of float16 shares of its largest magnitude, and that magnitude as its `scale`."""
    if not np.isfinite(array).all():
        raise LurkError("the map holds NaN or infinity; the network's values on this image are too large")
    scale = float(np.abs(array).max()) if array.size else 0.0
    return {"map.npy": to_npy((array / (scale or 1.0)).astype(np.float16))}, {"scale": scale}


def _target_figures(study: Study, target: Target, value: float) -> dict[str, Any]:
    is_class, is_spot = target.where == "class", target.where == "position"
    names = study.model.classes or ()
    return {
        "value": value if np.isfinite(value) else None,
        "where": target.where,
        "row": target.row if is_spot else None,
        "col": target.col if is_spot else None,
        "label": target.label if is_class else None,
        "label_name": names[target.label] if is_class and target.label < len(names) else "",
    }
