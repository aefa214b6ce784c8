"""What a method is, and the table of them: a method is one decorated function, in a file of its own in this folder.

Axes: n images of one request, f pictures of one request, c channels, h w pixels.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Required, TypedDict, Unpack

import numpy as np
from torch import Tensor

from lurk.graph.plan import Plan
from lurk.images.image_set import ImageSet
from lurk.method_spec import MethodSpec, Need, Option
from lurk.methods.attribution.forward_pass import Passes
from lurk.methods.attribution.target import Target
from lurk.models.model import Model
from lurk.records import Scalar
from lurk.registry import Registry

Report = Callable[[int, int], None]
Show = Callable[[int, int, Callable[[], Tensor]], None]
Options = Mapping[str, Any]  # what `MethodSpec.read` gives: each value is of the type of its option's default


def ignore_progress(*_progress: object) -> None:
    """Do nothing with the steps done and in all, or with what there is so far."""


@dataclass(frozen=True)
class MapRequest:
    """What a map method works on: a batch of images, each with a map of its own.

    Args:
        model: The model, its weights frozen and in evaluation mode while a method runs.
        plan: Its layers.
        images: float (n, c, h, w), preprocessed, on the model's device; n is 1 for a method of `many_passes`, so that
            the first map is there early.
        target: What the maps explain.
        options: A value for each of the method's options.
        quantiles: The unit's value at each probability over the image set, or None if the unit was not swept.
        report: Called with the steps done and in all; may raise Cancelled.
        passes: Keeps the forward pass of these images for the next method; None to keep nothing.
    """

    model: Model
    plan: Plan
    images: Tensor
    target: Target
    options: Options
    quantiles: Mapping[float, float] | None = None
    report: Report = ignore_progress
    passes: Passes | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images in pixels."""
        return self.images.shape[2], self.images.shape[3]

    def of(self, images: Sequence[int]) -> "MapRequest":
        """The request for some of the images, by their places in the batch."""
        return replace(self, images=self.images[list(images)], target=self.target.of(images), passes=None)


@dataclass(frozen=True)
class Map:
    """The result of a map method: the maps of a batch of images.

    Args:
        values: float32 (n, c, h, w), or (n, 1, h, w) if the method does not tell colours apart.
        more: Further arrays by name, such as occlusion's numbers at each place; images are the first axis.
        notes: Why the map of an image is zero everywhere, by the image's place in the batch.
    """

    values: Tensor
    more: Mapping[str, np.ndarray] = field(default_factory=dict)
    notes: Mapping[int, str] = field(default_factory=dict)


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
            far, float32 (f, c, h, w) in [0, 1]; may raise Cancelled or Paused.
        kept: What the method goes on from when it is run again after `show` raised Paused; empty for a new request.
    """

    model: Model
    plan: Plan
    layer: str
    units: tuple[int, ...]
    options: Options
    image: Tensor | None = None
    images: ImageSet | None = None
    show: Show = ignore_progress
    kept: dict[str, Any] = field(default_factory=dict)


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
Draft = Callable[[int, int], Mapping[str, Scalar]]


def never_refuse(_plan: Plan) -> str:
    """Return no reason against any model."""
    return ""


def no_draft(_height: int, _width: int) -> dict[str, Scalar]:
    """Return no options for a coarse map."""
    return {}


@dataclass(frozen=True)
class MapMethod:
    """A method that gives a value for each pixel of an image.

    Args:
        spec: What the page and the command line know of it.
        run: Makes the maps; gradients are on, whether they are needed or not.
        refuse: Returns why the method does not work for a network, or an empty text if it does.
        draft: Returns the options that make a coarse map of images of a height and a width; empty if there are none.
    """

    spec: MethodSpec
    run: RunMap
    refuse: Refuse = never_refuse
    draft: Draft = no_draft


@dataclass(frozen=True)
class PictureMethod:
    """A method that draws pictures; its parts are as in `MapMethod`."""

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
    many_passes: bool
    options: tuple[Option, ...]


def map_method(
    *, refuse: Refuse = never_refuse, draft: Draft = no_draft, **about: Unpack[About]
) -> Callable[[RunMap], RunMap]:
    """Enter a function into the table as a method that gives maps.

    The function's name is the method's name. The first line of its docstring says what is seen.

    Args:
        refuse: As in `MapMethod`.
        draft: As in `MapMethod`.
        **about: As in `MethodSpec`.

    Returns:
        The decorator.
    """

    def enter(run: RunMap) -> RunMap:
        spec = MethodSpec(
            name=run.__name__, shows=_first_line(run), gives="map", **({"needs": ("layer", "unit", "image")} | about)
        )
        METHODS.register(spec.name)(MapMethod(spec, run, refuse, draft))
        return run

    return enter


def picture_method(*, refuse: Refuse = never_refuse, **about: Unpack[About]) -> Callable[[RunPicture], RunPicture]:
    """Enter a function into the table as a method that draws pictures; see `map_method`."""

    def enter(run: RunPicture) -> RunPicture:
        spec = MethodSpec(
            name=run.__name__, shows=_first_line(run), gives="picture", **({"needs": ("layer", "unit")} | about)
        )
        METHODS.register(spec.name)(PictureMethod(spec, run, refuse))
        return run

    return enter


def _first_line(run: Callable[..., object]) -> str:
    return (inspect.getdoc(run) or "").partition("\n")[0]
