"""Other ways to preprocess the same pictures, each of which would mend a usual mistake."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from lurk.models.model import Model
from lurk.models.normalisation import SWAPPED, Normalisation, usual
from lurk.models.preprocess import Preprocess

Numbers = tuple[float, ...]
Prepare = Callable[[Image.Image], Tensor]

ALIKE = 0.03  # of a channel's range: normalisations nearer to each other than that are the same to a network


@dataclass(frozen=True)
class Variant:
    """Another way to preprocess a picture.

    Args:
        name: What it does, after "with".
        of: What it replaces: `colours` or `size`.
        pictures: Gives a picture in the size of the input, float32 (s, h, w), in [0, 1]. Variants share it.
        normalisation: Makes the input of that.
    """

    name: str
    of: str
    pictures: Prepare
    normalisation: Normalisation


def prepare(chosen: Sequence[Variant], picture: Image.Image) -> list[Tensor]:
    """Preprocess a picture in several ways: float32 (c, h, w) each."""
    made: dict[int, Tensor] = {}
    for variant in chosen:
        if id(variant.pictures) not in made:
            made[id(variant.pictures)] = variant.pictures(picture)
    return [variant.normalisation.forward(made[id(variant.pictures)]) for variant in chosen]


def variants(model: Model) -> list[Variant]:
    """Other ways to preprocess pictures for a model; none that is the same to it as its own."""
    return [*_of_colours(model), *_of_size(model)]


def _of_colours(model: Model) -> Iterator[Variant]:
    """The usual normalisations in the usual orders, on pictures of the model's own size and crop if they are known."""
    own, channels = model.normalisation, model.input_shape[0]
    known = [own] if not own.problem else []
    pictures = _pictures(model)
    for name, normalisation in _normalisations(model, channels):
        if not any(_is_alike(normalisation, other) for other in known):
            known.append(normalisation)
            yield Variant(name, "colours", pictures, normalisation)


def _normalisations(model: Model, channels: int) -> Iterator[tuple[str, Normalisation]]:
    own, declared = model.normalisation, model.declared
    if declared is not None and not declared.problem:
        yield f"the model's own normalisation ({declared.describe()})", declared
    if not own.problem and own.samples == channels == 3:
        yield "red and blue exchanged", Normalisation(own.mean, own.std, _swapped(own.mix))
    elif not own.problem and channels == 1:
        yield "black and white exchanged", Normalisation(tuple(1 - m for m in own.mean), tuple(-s for s in own.std))
    yield from usual(channels)


def _swapped(mix: tuple[Numbers, ...] | None) -> tuple[Numbers, ...] | None:
    """The mix with red and blue exchanged."""
    if mix is None:
        return SWAPPED
    swapped = tuple(row[::-1] for row in mix)
    return None if swapped == tuple(row[::-1] for row in SWAPPED) else swapped


def _is_alike(one: Normalisation, other: Normalisation) -> bool:
    """Whether two normalisations give nearly the same for every picture."""
    if one.samples != other.samples or len(one.mean) != len(other.mean):
        return False
    corners = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * one.samples).view(-1, one.samples, 1, 1)
    apart = (one.forward(corners) - other.forward(corners)).abs().amax(0)
    low, high = other.bounds(corners)
    return bool((apart <= ALIKE * (high - low)).all())


def _pictures(model: Model) -> Prepare:
    """Gives pictures in [0, 1] of the model's own size and crop; of the usual ones if its preprocessing hides them."""
    own, (channels, height, width) = model.normalisation, model.input_shape
    if model.tensors is not None:  # its pictures are made of tensors of the right size
        return _sized(0, (height, width), "bilinear", own.samples)
    if not own.problem and own.samples == min(channels, 3):
        return lambda picture: own.inverse(model.preprocess(picture).float())
    return _sized(round(max(height, width) / 0.875), (height, width), "bilinear", channels)


def _of_size(model: Model) -> Iterator[Variant]:
    """The usual sizes, crops and interpolations, with the model's own normalisation."""
    own, (_, height, width) = model.normalisation, model.input_shape
    if own.problem or model.tensors is not None:
        return
    for interpolation in ("bicubic", "bilinear"):
        for resize in dict.fromkeys((round(max(height, width) / 0.875), max(height, width))):
            name = f"the shorter side resized to {resize} ({interpolation}) and the centre cropped"
            sized = _sized(resize, (height, width), interpolation, own.samples)
            yield Variant(name, "size", sized, own)
        stretched = _sized(min(height, width), (height, width), interpolation, own.samples, stretch=True)
        yield Variant(f"the whole picture stretched to {height}×{width} ({interpolation})", "size", stretched, own)
    cut = _sized(0, (height, width), "bilinear", own.samples)
    yield Variant("the centre cropped from the picture as it is", "size", cut, own)


def _sized(resize: int, crop: tuple[int, int], interpolation: str, samples: int, *, stretch: bool = False) -> Prepare:
    """Gives pictures in [0, 1]; a `resize` of 0 leaves them as they are before they are cropped."""
    filters = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}

    def prepare(picture: Image.Image) -> Tensor:
        sized = picture.resize(crop[::-1], filters[interpolation]) if stretch else picture
        own = Preprocess(
            min(sized.size) if stretch or not resize else resize,
            crop,
            interpolation,
            (0.0,) * samples,
            (1.0,) * samples,
            samples,
        )
        return own(sized)

    return prepare
