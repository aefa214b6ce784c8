"""How the samples of a data set were normalised that gives tensors, so that they can be shown.

Such samples go to the network as they are: the model's own preprocessing is not applied to them. Pictures of 8 bits
leave two marks, whatever they are normalised by: an even grid of at most 256 levels, and black and white at its ends.

Axes: k images, c channels, h w pixels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lurk.errors import ImagesError
from lurk.models.normalisation import Normalisation, Numbers, usual

MOST = 32  # images that are looked at
MOST_PIXELS = 65_536  # of an image
PIXELS = 64
LEVELS = 256
EVEN = 0.02  # of a step: how far samples may be from an even grid
AT_ENDS = 0.03  # of the range from black to white: how far the extremes of many pictures are from its ends
OUTSIDE = 0.1  # how far samples go beyond it that were resized after their normalisation
LEAST_SHARE = 0.5  # how much of it the samples use, if it is theirs
LEVEL = 0.05  # of a level: how far samples of 8 bits are from whole levels
WHITE = 255
UNKNOWN = "the data set's samples have no usual normalisation"

Values = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


@dataclass(frozen=True)
class TensorSamples:
    """What the samples of some tensors are like.

    Args:
        shape: (c, h, w) of the tensors; None if they differ in size.
        low: The least finite sample of each channel.
        high: The greatest finite sample of each channel.
        step: Distance of neighbouring samples in each channel, if they stand on an even grid of at most 256 levels, as
            8-bit pictures do that were normalised; 0 if they do not.
        mean: Mean of all samples.
        deviation: Their deviation.
        pixels: Some pixels, c samples each.
    """

    shape: tuple[int, int, int] | None
    low: Numbers
    high: Numbers
    step: Numbers
    mean: float
    deviation: float
    pixels: tuple[Numbers, ...]


def measure(read: Callable[[int], object], count: int) -> TensorSamples | None:
    """Look at the samples of some images.

    Args:
        read: Reads an image; it may raise ImagesError.
        count: Number of images.

    Returns:
        What they are like; None if the images are no tensors (c, h, w), or have no finite sample.
    """
    tensors: list[Values] = []
    for number in sorted({round(k * (count - 1) / (MOST - 1)) for k in range(MOST)}):
        try:
            image = read(number)
        except ImagesError:
            continue
        if not isinstance(image, Tensor) or image.ndim != 3:
            return None
        tensors.append(image.detach().cpu().double().numpy())
    tensors = [one for one in tensors if len(one) == len(tensors[0])]
    columns = [_spread(one.reshape(len(one), -1), MOST_PIXELS) for one in tensors]
    every = np.concatenate(columns, 1) if columns else np.empty((0, 0))  # (c, pixels of all images)
    every = every[:, np.isfinite(every).all(0)]
    if not every.size:
        return None
    levels = [np.unique(row) for row in every]
    shapes = {one.shape for one in tensors}
    return TensorSamples(
        tensors[0].shape if len(shapes) == 1 else None,  # type: ignore[arg-type]  # three axes
        tuple(float(row[0]) for row in levels),
        tuple(float(row[-1]) for row in levels),
        tuple(map(_step, levels)),
        float(every.mean()),
        float(every.std()),
        tuple(tuple(map(float, pixel)) for pixel in _spread(every, PIXELS).T),
    )


def _spread(pixels: Values, most: int) -> Values:
    """Columns of pixels (c, p), at most so many, spread evenly."""
    count = pixels.shape[1]
    return pixels[:, np.linspace(0, count - 1, min(most, count)).round().astype(int)]


def _step(levels: Sequence[float] | Values) -> float:
    """The step of an even grid that the different samples stand on; 0 if they are too many or on none."""
    if not 1 < len(levels) <= LEVELS:
        return 0.0
    offsets = np.asarray(levels) - levels[0]
    steps = round(offsets[-1] / np.diff(offsets).min())
    if steps >= LEVELS:
        return 0.0
    step = float(offsets[-1] / steps)
    return step if float(np.abs(offsets / step - np.round(offsets / step)).max()) < EVEN else 0.0


@dataclass(frozen=True)
class Fitted:
    """The normalisation of some samples.

    Args:
        normalisation: What they are shown by; its `problem` says if it is not known.
        name: What it does; empty if it is the model's own, or not known.
        is_certain: Whether the samples bear the marks of pictures that were normalised so.
    """

    normalisation: Normalisation
    name: str
    is_certain: bool


def fit(samples: TensorSamples, own: Normalisation) -> Fitted:
    """Find the normalisation of samples.

    Args:
        samples: What the samples are like.
        own: What the model's own preprocessing does, which is taken if it explains them.

    Returns:
        The model's own; else a usual one; else the one that makes black and white of the ends of an even grid of 256
        levels; else one that draws the least sample of each channel black and the greatest white.
    """
    channels = len(samples.low)
    is_possible = len(own.mean) == channels and not own.problem and _is_undone(samples, own)
    if is_possible and _is_exact(samples, own):
        return Fitted(own, "", is_certain=True)
    known = [(name, one) for name, one in usual(channels) if _is_exact(samples, one)]
    if known:
        name, best = min(known, key=lambda pair: _distance(samples, pair[1]))
        return Fitted(best, name, is_certain=True)
    measured = _from_black_to_white(samples)
    if all(step and round((high - low) / step) == WHITE for low, high, step in _channels(samples)):
        return Fitted(measured, measured.describe(), is_certain=True)
    if is_possible and _uses(samples, own):
        return Fitted(own, "", is_certain=False)
    return Fitted(Normalisation(measured.mean, measured.std, None, UNKNOWN), "", is_certain=False)


def tensor_words(samples: TensorSamples, found: Fitted, own: Normalisation, *, is_assumed: bool) -> tuple[str, bool]:
    """Say what the samples of a data set are like and how they are shown.

    Args:
        samples: What they are like.
        found: Their normalisation.
        own: What the model's own preprocessing does.
        is_assumed: Whether the model brings no preprocessing, so that `own` was only assumed.

    Returns:
        A sentence, and whether it is a warning: the samples are others than the model's preprocessing gives, or their
        normalisation is not known.
    """
    what = (
        f"the data set gives tensors, which go to the network as they are: samples from {min(samples.low):.3g} to "
        f"{max(samples.high):.3g}, mean {samples.mean:.3g}, deviation {samples.deviation:.3g}"
    )
    if found.normalisation is own:
        certain = "they look normalised as" if found.is_certain else "pictures show them as if they were normalised as"
        whose = "usual" if is_assumed else "the model's preprocessing does it"
        return f"{what}; {certain} {whose}, {own.describe()}", False
    if found.normalisation.problem:
        return f"{what}; they fit no usual normalisation, so pictures show them as they are, {_ranges(samples)}", True
    look = f"{what}; they look like pictures preprocessed with {found.name}, by whose inverse they are shown"
    if is_assumed:
        return look, False
    return f"{look}; the model's preprocessing is another one ({own.problem or own.describe()})", True


def _ranges(samples: TensorSamples) -> str:
    ranges = [f"{low:.3g} to {high:.3g}" for low, high, _ in _channels(samples)]
    ranges = ranges[:1] if len(set(ranges)) == 1 else ranges
    return f"{', '.join(ranges[:4])}{', …' if len(ranges) > 4 else ''} drawn as black to white"


def _channels(samples: TensorSamples) -> list[tuple[float, float, float]]:
    """Least sample, greatest sample and step of each channel."""
    return list(zip(samples.low, samples.high, samples.step, strict=True))


def _ends(samples: TensorSamples, normalisation: Normalisation) -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
    """Where the least and the greatest sample of each channel lie between black, 0, and white, 1; float64 (2, c)."""
    found = np.array([samples.low, samples.high])
    low, high = (bound.flatten().numpy() for bound in normalisation.bounds(torch.zeros(1, dtype=torch.float64)))
    ends: np.ndarray[tuple[int, int], np.dtype[np.float64]] = (found - low) / np.maximum(high - low, 1e-12)
    return ends


def _distance(samples: TensorSamples, normalisation: Normalisation) -> float:
    """How far the extremes are from black and white, in the channel where that is farthest."""
    return float(np.abs(_ends(samples, normalisation) - [[0], [1]]).max())


def _is_exact(samples: TensorSamples, normalisation: Normalisation) -> bool:
    """Whether samples of 8 bits are whole levels of a normalisation; of other samples, whether they end at its ends."""
    if not any(samples.step):
        return _distance(samples, normalisation) <= AT_ENDS
    ends = _ends(samples, normalisation) * WHITE
    levels = [
        (high - low) / round((samples.high[at] - samples.low[at]) / step) if step else 1.0
        for at, (low, high, step) in enumerate(zip(*ends, samples.step, strict=True))
    ]
    whole = np.concatenate([ends.flatten(), levels])
    is_inside = ends.min() > -LEVEL and ends.max() < WHITE + LEVEL and min(levels) > 1 - LEVEL
    return bool(is_inside and np.abs(whole - np.round(whole)).max() < LEVEL)


def _uses(samples: TensorSamples, normalisation: Normalisation) -> bool:
    """Whether samples lie between black and white and use much of what is between them."""
    low, high = _ends(samples, normalisation)
    return bool(low.min() > -OUTSIDE and high.max() < 1 + OUTSIDE and (high - low).mean() >= LEAST_SHARE)


def _is_undone(samples: TensorSamples, normalisation: Normalisation) -> bool:
    """Whether the inverse of a normalisation keeps what the samples say, which it does not if they are no such mix."""
    pixels = torch.tensor(samples.pixels, dtype=torch.float64).T[:, :, None]  # (c, p, 1)
    again = normalisation.forward(normalisation.inverse(pixels))
    return bool((again - pixels).abs().max() <= LEVEL * (max(samples.high) - min(samples.low)))


def _from_black_to_white(samples: TensorSamples) -> Normalisation:
    """Turns 0 and 1 into the least and greatest sample of each channel."""
    spans = [high - low if high > low else 1.0 for low, high, _ in _channels(samples)]
    means = tuple(-low / span + 0.0 for low, span in zip(samples.low, spans, strict=True))
    return Normalisation(means, tuple(1 / span for span in spans))
