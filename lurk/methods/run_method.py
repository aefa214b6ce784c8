"""Runs a method on a model: the public `visualize` and `attribute`, and what the jobs call."""

import logging
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from lurk.errors import ImagesError, LayerError, LurkError, expect, whole_number
from lurk.graph.device import choose_device, moved_to
from lurk.graph.plan import Plan
from lurk.images.image_set import ImageSet
from lurk.images.load_images import load_images
from lurk.method_spec import MethodSpec
from lurk.methods import (
    METHODS,
    MapMethod,
    MapRequest,
    PictureMethod,
    PictureRequest,
    Pictures,
    Report,
    Show,
    ignore_progress,
)
from lurk.methods.attribution.refusal import check_method, check_unit, refusal
from lurk.methods.attribution.run_map import most_probable_classes, run_map_method
from lurk.methods.attribution.target import WHERES, Target, Where
from lurk.methods.feature_vis.ascent import show_part
from lurk.models.load_model import load_model
from lurk.models.model import Model
from lurk.models.network_input import Picture, image_for
from lurk.records import Scalar

BATCH = 16
Floats = np.ndarray[Any, np.dtype[np.float32]]


def visualize(  # noqa: PLR0913 - the public signature: a unit and the options
    model: Model | nn.Module | str,
    layer: str,
    units: int | Sequence[int],
    *,
    method: str = "gradient_ascent",
    image: Picture | None = None,
    images: ImageSet | str | object | None = None,
    device: str = "auto",
    show: Show = ignore_progress,
    **options: object,
) -> Floats:
    """Draw what units want to see.

    >>> lurk.visualize(model, "layer1.0.conv1", [12, 13], steps=128).shape  # doctest: +SKIP
    (2, 3, 224, 224)

    Args:
        model: What `load_model` returns, or what it takes.
        layer: Name of the layer; empty for pictures of classes.
        units: Channel numbers, or class numbers for `class_image`; ignored by a method of a layer as a whole.
        method: Name of a method that gives pictures.
        image: The photograph that the method starts from or inverts, if it needs one: float (c, h, w) as preprocessed,
            a PIL picture, a file or a hit.
        images: What `load_images` returns, or what it takes, if the method needs the statistics of images.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
        show: Called at each step with the steps done, the steps in all and a function that returns the pictures so far.
        **options: Options of the method; `lurk visualize --list` lists them.

    Returns:
        float32 (f, 3, h, w), in [0, 1]: one picture for each unit in the order of the units, or several with the option
        `diversity`. (f, 1, h, w) for a network of one channel; where the preprocessing cannot be undone, (f, c, h, w)
        with the network's c, 0 and 1 being the ends of its input's range.

    Raises:
        LurkError: There is no such method, layer, unit or option, or the method does not work for the model.
    """
    model, chosen = model if isinstance(model, Model) else load_model(model), METHODS[method]
    if not isinstance(chosen, PictureMethod):
        raise LurkError(f"{method} gives maps, not pictures; use lurk.attribute")
    images = _image_set(images)
    numbers = _numbers(units)
    if not numbers and {"unit", "class"} & set(chosen.spec.needs):
        raise LurkError(f"{method} draws the pictures of units, and none is given")
    values = chosen.spec.read(options)
    with moved_to(model.module, choose_device(device)), torch.inference_mode(False):
        plan, start = plan_with(model, layer), image_for(model, image, images)
        batches = [numbers[at : at + BATCH] for at in range(0, len(numbers), BATCH)] or [()]
        drawn = []
        for at, batch in enumerate(batches):
            shown = show_part(show, at, len(batches))
            request = PictureRequest(model, plan, layer, batch, values, start, images, shown)
            drawn.append(run_picture_method(chosen, request).pictures.cpu())
    pictures = torch.cat(drawn)
    is_grey = pictures.shape[1] == 1 and model.input_shape[0] >= 3  # what such a network takes is grey in colour
    found: Floats = (pictures.repeat(1, 3, 1, 1) if is_grey else pictures).numpy()
    return found


def attribute(  # noqa: PLR0913 - the public signature: an image, a unit and the options
    model: Model | nn.Module | str,
    image: Picture | Sequence[Picture],
    layer: str,
    unit: int,
    *,
    method: str = "deconvnet",
    target: Where = "maximum",
    row: int | None = None,
    col: int | None = None,
    label: int | None = None,
    quantiles: Mapping[float, float] | None = None,
    images: ImageSet | str | object | None = None,
    device: str = "auto",
    report: Report = ignore_progress,
    **options: object,
) -> Floats:
    """Find the pixels of an image that a unit, or a class, owes its value to.

    >>> hit = index.unit("layer1.0.conv1", 12).hits_max[0]  # doctest: +SKIP
    >>> lurk.attribute(model, hit, "layer1.0.conv1", 12, method="deconvnet").shape  # doctest: +SKIP
    (3, 224, 224)

    Args:
        model: What `load_model` returns, or what it takes.
        image: float (c, h, w) as preprocessed, a PIL picture, a file, or a hit of an index of `lurk.sweep`; or several
            of them, as float (n, c, h, w) or in a list, which are explained together and so in less time.
        layer: Name of the layer.
        unit: Channel number.
        method: Name of a method that gives maps.
        target: `maximum`, the unit's value at the position of its maximum in this image; `position`, its value at
            `row` and `col`; `map`, the sum of its values over all positions; `class`, the score of class `label`.
        row: Row of the position; given with `col`, it means `target="position"`.
        col: Column of the position.
        label: Class number; by default the most probable class of each image.
        quantiles: The unit's value at each probability, as `UnitRecord.quantiles`, if the method needs it.
        images: The image set of a hit that was not got from `lurk.sweep`: what `load_images` returns, or what it takes.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
        report: Called with the steps done and in all.
        **options: Options of the method; `lurk visualize --list` lists them.

    Returns:
        float32 (c, h, w), signed if the method's values are; the same for every channel if the method does not tell
        colours apart. (n, c, h, w) for several images.

    Raises:
        LurkError: There is no such method, layer, unit, position, class or option, or the method does not work for
            the model.
    """
    model, chosen = model if isinstance(model, Model) else load_model(model), METHODS[method]
    if not isinstance(chosen, MapMethod):
        raise LurkError(f"{method} gives pictures, not maps; use lurk.visualize")
    where: Where = "position" if target == "maximum" and (row is not None or col is not None) else target
    if where not in WHERES:
        raise LurkError(f"target is one of {', '.join(WHERES)}, not {str(target)[:40]!r}")
    if where == "position" and (row is None or col is None):
        raise LurkError("a position is a row and a column; give both, row= and col=")
    values = chosen.spec.read(options)
    with moved_to(model.module, choose_device(device)), torch.inference_mode(False):
        plan, batch = plan_with(model, layer), _batch(model, image, _image_set(images))
        explained = Target(layer, whole_number(unit, "a unit"), where, row or 0, col or 0, label or 0)
        if where == "class" and label is None:
            explained = replace(explained, label=most_probable_classes(plan, batch))
        drawn = run_map_method(chosen, MapRequest(model, plan, batch, explained, values, quantiles, report))
        for note in drawn.notes.values():
            logging.getLogger("lurk").warning("the map of %s is zero everywhere: %s", method, note)
        expanded: Floats = drawn.values.expand(-1, batch.shape[1], -1, -1).cpu().numpy().copy()
    return expanded if _are_several(image) else expanded[0]


def run_picture_method(method: PictureMethod, request: PictureRequest) -> Pictures:
    """Run a picture method.

    Args:
        method: The method.
        request: The request, of at most a batch of units.

    Returns:
        The pictures.

    Raises:
        LurkError: The method does not work for the model, or the layer has no such unit.
    """
    check_method(method, request.plan)
    if "layer" in method.spec.needs:
        for unit in request.units if "unit" in method.spec.needs else (0,):
            check_unit(request.plan, request.layer, unit)
    return method.run(request)


def plan_with(model: Model, layer: str) -> Plan:
    """Return the default plan of a model, widened by a layer if it lacks that one and the model has it."""
    expect(layer, str, "a layer is given by its name")
    plan = model.plan()
    if not layer or any(info.name == layer for info in plan.layers):
        return plan
    with suppress(LayerError):
        wider = model.plan(re.escape(layer.partition(":")[0]))
        if any(info.name == layer for info in wider.layers):
            return wider
    return plan


def _are_several(image: Picture | Sequence[Picture]) -> bool:
    return isinstance(image, (list, tuple)) or getattr(image, "ndim", 3) == 4


def _batch(model: Model, image: Picture | Sequence[Picture], images: ImageSet | None) -> Tensor:
    """The images that a user gives, as float (n, c, h, w)."""
    pictures = cast(Sequence[Picture], image) if _are_several(image) else [cast(Picture, image)]
    given = [tensor for one in pictures if (tensor := image_for(model, one, images)) is not None]
    if not given:
        raise ImagesError("attribute needs an image")
    return torch.stack(given)


def _image_set(images: ImageSet | str | object | None) -> ImageSet | None:
    return images if images is None or isinstance(images, ImageSet) else load_images(images)


def _numbers(units: int | Sequence[int]) -> tuple[int, ...]:
    try:
        return tuple(whole_number(unit, "a unit") for unit in units)  # type: ignore[union-attr]  # one number raises
    except TypeError:
        return (whole_number(units, "a unit"),)


def method_specs(plan: Plan) -> list[MethodSpec]:
    """Return the specification of every method, with the reason if a network has none of it, or no class to explain."""
    methods, missing = (METHODS[name] for name in METHODS), plan.scores.missing
    return [
        replace(method.spec, refusal=refusal(method, plan), no_class=missing, draft=_draft(method, plan))
        for method in methods
    ]


def _draft(method: MapMethod | PictureMethod, plan: Plan) -> tuple[tuple[str, Scalar], ...]:
    """Options with which a method makes coarse maps of the images that a network takes."""
    height, width = plan.input_shape[1:]
    return tuple(method.draft(height, width).items()) if isinstance(method, MapMethod) else ()
