"""A method applied to a model: the public `visualize` and `attribute`, and what the jobs call."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from os import PathLike
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from lurk.errors import ImagesError, LayerError, LurkError
from lurk.graph.device import choose_device, device_of, moved_to
from lurk.graph.partial_forward import reaching
from lurk.graph.plan import Plan
from lurk.images.decoding import decode
from lurk.images.image_set import ImageSet
from lurk.images.load_images import load_images
from lurk.method_spec import MethodSpec
from lurk.methods import (
    METHODS,
    Map,
    MapMethod,
    MapRequest,
    PictureMethod,
    PictureRequest,
    Pictures,
    Report,
    Show,
    say_nothing,
)
from lurk.methods.attribution.target import WHERES, Target, Where
from lurk.models.load_model import load_model
from lurk.models.model import Model

BATCH = 16
Floats = np.ndarray[Any, np.dtype[np.float32]]
Picture = Tensor | np.ndarray[Any, Any] | Image.Image | str | PathLike[str]


def visualize(  # noqa: PLR0913 - the public signature: a unit and the options
    model: Model | nn.Module | str,
    layer: str,
    units: int | Sequence[int],
    *,
    method: str = "gradient_ascent",
    image: Picture | None = None,
    images: ImageSet | str | object | None = None,
    device: str = "auto",
    show: Show = say_nothing,
    **options: object,
) -> Floats:
    """Draw what units want to see.

    >>> lurk.visualize(model, "layer1.0.conv1", [12, 13], steps=128).shape  # doctest: +SKIP
    (2, 3, 224, 224)

    Args:
        model: What `load_model` gives, or what it takes.
        layer: Name of the layer; empty for pictures of classes.
        units: Channel numbers, or class numbers for `class_image`; any for a method of a layer as a whole.
        method: Name of a method that gives pictures.
        image: The photograph that the method starts from or inverts, where it takes one: float (c, h, w) as
            preprocessed, a PIL picture or a file.
        images: What `load_images` gives, or what it takes, where the method needs the statistics of images.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
        show: Called at each step with the steps done, the steps in all and a function that gives the pictures so far.
        **options: Options of the method; `lurk visualize --list` lists them.

    Returns:
        float32 (f, c, h, w), in [0, 1]; c is that of the network. A picture a unit in the order of the units; with
        `diversity`, so many a unit.

    Raises:
        LurkError: There is no such method, layer, unit or option, or the method cannot be had for the model.
    """
    model, chosen = model if isinstance(model, Model) else load_model(model), METHODS[method]
    if not isinstance(chosen, PictureMethod):
        raise LurkError(f"{method} gives maps, not pictures; use lurk.attribute")
    if images is not None and not isinstance(images, ImageSet):
        images = load_images(images)
    asked = (units,) if isinstance(units, int) else tuple(int(unit) for unit in units)
    read = chosen.spec.read(options)
    with on_device(model, device), torch.inference_mode(False):
        plan = plan_of(model, layer)
        request = PictureRequest(model, plan, layer, asked, read, _prepared(model, image), images, show)
        drawn = [draw(chosen, part).pictures.cpu() for part in _batches(request)]
    pictures: Floats = torch.cat(drawn).numpy()
    return pictures


def attribute(  # noqa: PLR0913 - the public signature: an image, a unit and the options
    model: Model | nn.Module | str,
    image: Picture,
    layer: str,
    unit: int,
    *,
    method: str = "deconvnet",
    target: Where = "maximum",
    row: int | None = None,
    col: int | None = None,
    label: int | None = None,
    quantiles: Mapping[float, float] | None = None,
    device: str = "auto",
    report: Report = say_nothing,
    **options: object,
) -> Floats:
    """Find the pixels of an image that a unit, or a class, owes its value to.

    >>> lurk.attribute(model, image, "layer1.0.conv1", 12, method="deconvnet").shape  # doctest: +SKIP
    (3, 224, 224)

    Args:
        model: What `load_model` gives, or what it takes.
        image: float (c, h, w) as preprocessed, a PIL picture or a file.
        layer: Name of the layer.
        unit: Channel number.
        method: Name of a method that gives maps.
        target: `maximum`, the unit's value at the position of its maximum in this image; `position`, its value at
            `row` and `col`; `map`, the sum of its values over all positions; `class`, the score of class `label`.
        row: Row of the position; given with `col`, it means `target="position"`.
        col: Column of the position.
        label: Class number; by default the most probable class of the image.
        quantiles: The unit's value at each probability, as `UnitRecord.quantiles`, where the method needs it.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
        report: Called with the steps done and in all.
        **options: Options of the method; `lurk visualize --list` lists them.

    Returns:
        float32 (c, h, w), signed where the method's values are; the same for every channel where it tells nothing of
        colours.

    Raises:
        LurkError: There is no such method, layer, unit, position, class or option, or the method cannot be had for the
            model.
    """
    model, chosen = model if isinstance(model, Model) else load_model(model), METHODS[method]
    if not isinstance(chosen, MapMethod):
        raise LurkError(f"{method} gives pictures, not maps; use lurk.visualize")
    where: Where = "position" if target == "maximum" and (row is not None or col is not None) else target
    if where not in WHERES:
        raise LurkError(f"target is one of {', '.join(WHERES)}, not {str(target)[:40]!r}")
    read = chosen.spec.read(options)
    with on_device(model, device), torch.inference_mode(False):
        plan = plan_of(model, layer)
        tensor = _prepared(model, image)
        if tensor is None:
            raise ImagesError("attribute needs an image")
        asked = Target(layer, unit, where, row or 0, col or 0, label or 0)
        if where == "class" and label is None:
            asked = replace(asked, label=most_probable(plan, tensor))
        values = explain(chosen, MapRequest(model, plan, tensor, asked, read, quantiles, report)).values
        expanded: Floats = values.expand(len(tensor), -1, -1).cpu().numpy().copy()
    return expanded


def draw(method: PictureMethod, request: PictureRequest) -> Pictures:
    """Run a picture method.

    Args:
        method: The method.
        request: What it is asked for, at most a batch.

    Returns:
        What it gives.

    Raises:
        LurkError: It cannot be had for the model, or the layer has no such unit.
    """
    _check(method, request.model, request.plan)
    if "layer" in method.spec.needs:
        for unit in request.units if "unit" in method.spec.needs else (0,):
            _check_unit(request.plan, request.layer, unit)
    return method.run(request)


def explain(method: MapMethod, request: MapRequest) -> Map:
    """Run a map method.

    Args:
        method: The method.
        request: What it is asked for.

    Returns:
        What it gives.

    Raises:
        LurkError: It cannot be had for the model, or the layer has no such unit.
    """
    _check(method, request.model, request.plan)
    _check_unit(request.plan, request.target.layer, request.target.unit)
    return method.run(request)


def _check(method: MapMethod | PictureMethod, model: Model, plan: Plan) -> None:
    why = method.refuse(model, plan)
    if why:
        raise LurkError(f"{method.spec.name} cannot be had for this model: {why}")


def _check_unit(plan: Plan, layer: str, unit: int) -> None:
    found = {info.name: info for info in plan.layers}
    if layer not in found:
        some = ", ".join(list(found)[:8]) + (", …" if len(found) > 8 else "")
        raise LayerError(f"the model has no layer {layer!r}; its layers are {some}")
    if not 0 <= unit < found[layer].units:
        raise LayerError(f"layer {layer!r} has no unit {unit}; its units are 0 to {found[layer].units - 1}")


def _batches(request: PictureRequest) -> Iterator[PictureRequest]:
    """A request in parts of at most 16 units, each of which reports its share of the steps."""
    if len(request.units) <= BATCH:
        yield request
        return
    parts = [request.units[at : at + BATCH] for at in range(0, len(request.units), BATCH)]
    for number, part in enumerate(parts):
        yield replace(request, units=part, show=_shifted(request.show, number, len(parts)))


def _shifted(show: Show, number: int, parts: int) -> Show:
    return lambda done, total, pictures: show(number * total + done, parts * total, pictures)


def plan_of(model: Model, layer: str) -> Plan:
    """The plan of a model that has a layer: the default one, or one widened by it; the default one for no layer."""
    plan = model.plan()
    if not layer or any(info.name == layer for info in plan.layers):
        return plan
    with suppress(LayerError):
        wider = model.plan(re.escape(layer.removesuffix(":class").partition(":")[0]))
        if any(info.name == layer for info in wider.layers):
            return wider
    return plan


def most_probable(plan: Plan, image: Tensor) -> int:
    """Number of the most probable class of an image, float (c, h, w) as preprocessed."""
    with reaching(plan, [], to_the_end=True) as reach, torch.no_grad():
        return int(reach(image[None]).logits[0].argmax())


@contextmanager
def on_device(model: Model, device: str) -> Iterator[torch.device]:
    """Put a model where a device's name says, and back afterwards."""
    place = choose_device(device)
    with moved_to(model.module, place):
        yield place


def preprocessed(model: Model, picture: Tensor | Image.Image) -> Tensor:
    """What the network takes of an image.

    Args:
        model: The model.
        picture: What an image set reads: a PIL picture, or a tensor that is preprocessed already.

    Returns:
        float (c, h, w) of the model's type, on its device.

    Raises:
        ImagesError: It is not of the shape that the model takes.
    """
    tensor = picture if isinstance(picture, Tensor) else model.preprocess(picture)
    if tuple(tensor.shape) != tuple(model.input_shape):
        raise ImagesError(
            f"the image is {tuple(tensor.shape)} after preprocessing; the model takes {tuple(model.input_shape)}"
        )
    return tensor.detach().clone().to(device_of(model.module), model.dtype)  # a copy is no inference tensor


def _prepared(model: Model, image: Picture | None) -> Tensor | None:
    if image is None:
        return None
    if isinstance(image, np.ndarray):
        image = torch.from_numpy(np.ascontiguousarray(image))
    if isinstance(image, (str, PathLike)):
        try:
            image = decode(image)
        except ImagesError as error:
            raise ImagesError(f"image {str(image)[:200]!r}: {error}") from error
    return preprocessed(model, image)


def offers(model: Model, plan: Plan) -> list[MethodSpec]:
    """What every method offers for a model, with the reason where it refuses."""
    found = [METHODS[name] for name in METHODS]
    return [replace(method.spec, refusal=method.refuse(model, plan)) for method in found]
