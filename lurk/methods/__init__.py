"""What a method is, and the table of them: a method is one file of this folder, and adding one is adding a file.

Axes: f pictures of one request, c channels, h w pixels.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from lurk.graph.plan import Plan
from lurk.images.image_set import ImageSet
from lurk.method_spec import MethodSpec
from lurk.methods.attribution.target import Target
from lurk.models.model import Model
from lurk.records import Scalar
from lurk.registry import Registry

Report = Callable[[int, int], None]
Show = Callable[[int, int, Callable[[], Tensor]], None]


def say_nothing(_done: int, _total: int, *_pictures: object) -> None:
    """Hear of the progress, and do nothing."""


@dataclass(frozen=True)
class MapRequest:
    """What a map method is asked for.

    Args:
        model: The model, its weights frozen and in evaluation mode while a method runs.
        plan: Its layers.
        image: float (c, h, w), preprocessed, on the model's device.
        target: What the map explains.
        options: A value for each of the method's options.
        quantiles: The unit's value at each probability over the image set, None where it was not swept.
        report: Called with the steps done and in all; may raise Cancelled.
    """

    model: Model
    plan: Plan
    image: Tensor
    target: Target
    options: Mapping[str, Scalar]
    quantiles: Mapping[float, float] | None = None
    report: Report = say_nothing


@dataclass(frozen=True)
class Map:
    """What a map method gives.

    Args:
        values: float32 (c, h, w), or (1, h, w) where a method tells nothing of colours.
        more: Further arrays by name, such as occlusion's class probabilities.
    """

    values: Tensor
    more: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class PictureRequest:
    """What a picture method is asked for: a batch of pictures that differ in the unit alone.

    Args:
        model: The model, its weights frozen and in evaluation mode while a method runs.
        plan: Its layers.
        layer: Name of the layer; empty for pictures of classes.
        units: Channel numbers, or class numbers for pictures of classes; a method of a layer as a whole gets none.
        options: A value for each of the method's options.
        image: float (c, h, w), preprocessed, on the model's device; None where the method needs none.
        images: The study's image set, None where there is none.
        show: Called at each step with the steps done, the steps in all and a function that gives the pictures so far,
            float32 (f, c, h, w) in [0, 1]; may raise Cancelled.
    """

    model: Model
    plan: Plan
    layer: str
    units: tuple[int, ...]
    options: Mapping[str, Scalar]
    image: Tensor | None = None
    images: ImageSet | None = None
    show: Show = say_nothing


@dataclass(frozen=True)
class Pictures:
    """What a picture method gives.

    Args:
        pictures: float32 (f, c, h, w), in [0, 1].
        opacity: float32 (f, h, w), in [0, 1]: how much each pixel matters; None where the method does not say.
    """

    pictures: Tensor
    opacity: Tensor | None = None


@dataclass(frozen=True)
class MapMethod:
    """A method that gives a value for each pixel of an image.

    Args:
        spec: What it says of itself.
        run: Does it; gradients are on, whether they are needed or not.
        refuse: Says why it cannot be had for a model; empty where it can.
    """

    spec: MethodSpec
    run: Callable[[MapRequest], Map]
    refuse: Callable[[Model, Plan], str] = lambda _model, _plan: ""


@dataclass(frozen=True)
class PictureMethod:
    """A method that draws pictures; the parts are those of `MapMethod`."""

    spec: MethodSpec
    run: Callable[[PictureRequest], Pictures]
    refuse: Callable[[Model, Plan], str] = lambda _model, _plan: ""


METHODS: Registry[MapMethod | PictureMethod] = Registry("lurk.methods", "--method")
