"""What a method is, and the table of them: a method is one decorated function, in a file of its own in this folder.

Axes: f pictures of one request, c channels, h w pixels.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Required, TypedDict, Unpack

import numpy as np
from torch import Tensor

from lurk.graph.plan import Plan
from lurk.images.image_set import ImageSet
from lurk.method_spec import MethodSpec, Need, Option
from lurk.methods.attribution.target import Target
from lurk.models.model import Model
from lurk.registry import Registry

Report = Callable[[int, int], None]
Show = Callable[[int, int, Callable[[], Tensor]], None]
Options = Mapping[str, Any]  # what `MethodSpec.read` gives: each value is of the type of its option's default


def ignore_progress(_done: int, _total: int, *_pictures: object) -> None:
    """Do nothing with the steps done and in all."""


@dataclass(frozen=True)
class MapRequest:
    """What a map method works on.

    Args:
        model: The model, its weights frozen and in evaluation mode while a method runs.
        plan: Its layers.
        image: float (c, h, w), preprocessed, on the model's device.
        target: What the map explains.
        options: A value for each of the method's options.
        quantiles: The unit's value at each probability over the image set, or None if the unit was not swept.
        report: Called with the steps done and in all; may raise Cancelled.
    """

    model: Model
    plan: Plan
    image: Tensor
    target: Target
    options: Options
    quantiles: Mapping[float, float] | None = None
    report: Report = ignore_progress


@dataclass(frozen=True)
class Map:
    """The result of a map method.

    Args:
        values: float32 (c, h, w), or (1, h, w) if the method does not tell colours apart.
        more: Further arrays by name, such as occlusion's class probabilities.
        note: Why the map is zero everywhere; empty if it is not.
    """

    values: Tensor
    more: Mapping[str, np.ndarray] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class PictureRequest:
    """What a picture method works on: a batch of pictures that differ in the unit alone.

    Args:
        model: The model, its weights frozen and in evaluation mode while a method runs.
        plan: Its layers.
        layer: Name of the layer; empty for pictures of classes.
        units: Channel numbers, or class numbers for pictures of classes; empty for pictures of a layer as a whole.
        options: A value for each of the method's options.
        image: float (c, h, w), preprocessed, on the model's device; None if the method starts from no photograph.
        images: The study's image set, or None.
        show: Called at each step with the steps done, the steps in all and a function that returns the pictures so
            far, float32 (f, c, h, w) in [0, 1]; may raise Cancelled.
    """

    model: Model
    plan: Plan
    layer: str
    units: tuple[int, ...]
    options: Options
    image: Tensor | None = None
    images: ImageSet | None = None
    show: Show = ignore_progress


@dataclass(frozen=True)
class Pictures:
    """The result of a picture method.

    Args:
        pictures: float32 (f, c, h, w), in [0, 1].
        opacity: float32 (f, h, w), in [0, 1], how much each pixel matters; None if the method does not say.
    """

    pictures: Tensor
    opacity: Tensor | None = None


RunMap = Callable[[MapRequest], Map]
RunPicture = Callable[[PictureRequest], Pictures]
Refuse = Callable[[Plan], str]


def never_refuse(_plan: Plan) -> str:
    """Return no reason against any model."""
    return ""


@dataclass(frozen=True)
class MapMethod:
    """A method that gives a value for each pixel of an image.

    Args:
        spec: What the page and the command line know of it.
        run: Makes the map; gradients are on, whether they are needed or not.
        refuse: Returns why the method does not work for a network, or an empty text if it does.
    """

    spec: MethodSpec
    run: RunMap
    refuse: Refuse = never_refuse


@dataclass(frozen=True)
class PictureMethod:
    """A method that draws pictures; the parts are those of `MapMethod`."""

    spec: MethodSpec
    run: RunPicture
    refuse: Refuse = never_refuse


METHODS: Registry[MapMethod | PictureMethod] = Registry("lurk.methods", "--method")


class About(TypedDict, total=False):
    """What a method says of itself, in the words of `MethodSpec`."""

    label: Required[str]
    paper: Required[str]
    caution: Required[str]
    needs: tuple[Need, ...]
    signed: bool
    version: int
    options: tuple[Option, ...]


def map_method(*, refuse: Refuse = never_refuse, **about: Unpack[About]) -> Callable[[RunMap], RunMap]:
    """Enter a function into the table as a method that gives maps.

    The function's name is the method's name. The first line of its docstring says what is seen.

    Args:
        refuse: As in `MapMethod`.
        **about: As in `MethodSpec`.

    Returns:
        The decorator.
    """

    def enter(run: RunMap) -> RunMap:
        spec = MethodSpec(**_named(run), gives="map", **({"needs": ("layer", "unit", "image")} | about))
        METHODS.register(spec.name)(MapMethod(spec, run, refuse))
        return run

    return enter


def picture_method(*, refuse: Refuse = never_refuse, **about: Unpack[About]) -> Callable[[RunPicture], RunPicture]:
    """Enter a function into the table as a method that draws pictures; see `map_method`."""

    def enter(run: RunPicture) -> RunPicture:
        spec = MethodSpec(**_named(run), gives="picture", **({"needs": ("layer", "unit")} | about))
        METHODS.register(spec.name)(PictureMethod(spec, run, refuse))
        return run

    return enter


def _named(run: Callable[..., object]) -> dict[str, str]:
    return {"name": run.__name__, "shows": (inspect.getdoc(run) or "").partition("\n")[0]}
