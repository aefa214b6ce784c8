"""The display modes of a map, their colours and their scale; torch-free.

Magnitudes are shown on Cividis, which is perceptual and safe for colour-blind readers; signed values on blue, white
and red, centred on 0. Values are cut at the 99.5th percentile of their magnitude, so that one pixel does not darken the
rest.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np
from plotly.colors import sample_colorscale

from lurk.storage.webp import View

Mode = Literal["raw", "grey", "norm", "blurred", "signs", "overlay"]
MODES: tuple[Mode, ...] = get_args(Mode)
BOOSTS, GAMMAS = ("0", "0.3", "0.5", "0.8", "1"), ("1", "0.7", "0.5", "0.3")
CUT_PERCENT = 99.5
BLUR_SIGMA = 4.0
SEQUENTIAL, DIVERGING = "Cividis", "RdBu_r"

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]


def colour_map(values: Floats, mode: Mode, boost: float = 0.0, gamma: float = 1.0) -> View:
    """Draw a map.

    Args:
        values: float32 (c, h, w), signed.
        mode: `raw` the channels as colours, 0 grey; `grey` their mean, 0 grey; `norm` the length of each pixel's
            vector of channels; `blurred` that, blurred (Gaussian, 4 pixels); `signs` the sum over channels, centred on
            0; `overlay` as `blurred`, transparent where it is small, to be laid over the image.
        boost: From 0 to 1: how far weak channels are amplified; at 1 all channels have the same largest magnitude.
        gamma: Exponent of the scaled magnitude; below 1 it brings out small values.

    Returns:
        uint8 (h, w, 3); of `overlay` (h, w, 4).
    """
    values = boosted(values, boost)
    if mode in ("raw", "grey"):
        signed = values if mode == "raw" and len(values) == 3 else values.mean(0, keepdims=True)
        share = _bent(_scaled(signed), gamma)
        picture = np.clip(np.rint(127.5 + 127.5 * share), 0, 255).astype(np.uint8).transpose(1, 2, 0)
        return picture if picture.shape[2] == 3 else np.repeat(picture, 3, axis=2)
    if mode == "signs":
        share = _bent(_scaled(values.sum(0)), gamma)
        return _coloured(DIVERGING, (share + 1) / 2)
    share = _bent(_scaled(_magnitude(values, mode)), gamma)
    picture = _coloured(SEQUENTIAL, share)
    if mode != "overlay":
        return picture
    return np.dstack([picture, np.clip(np.rint(255 * share), 0, 255).astype(np.uint8)])


def in_channels(values: Floats, channels: Sequence[int], mode: Mode) -> Floats:
    """The channels of a map, float32 (c, h, w), that are drawn: a single one alone; three as colours, else all."""
    return values[list(channels)] if len(channels) == 1 or (channels and mode == "raw") else values


def scale(values: Floats, mode: Mode) -> tuple[float, float]:
    """The values at the two ends of a mode's colours, unboosted; 0 is in the middle of `raw`, `grey` and `signs`."""
    if mode in ("norm", "blurred", "overlay"):
        return 0.0, _cut(_magnitude(values, mode))
    high = _cut(values if mode == "raw" and len(values) == 3 else values.mean(0) if mode != "signs" else values.sum(0))
    return -high, high


def boosted(values: Floats, boost: float) -> Floats:
    """Amplify weak channels: each is divided by (its largest magnitude / the largest of all channels) ** boost."""
    peaks = np.abs(values).reshape(len(values), -1).max(1)
    if not boost or not peaks.max():
        return values
    shares = np.where(peaks > 0, peaks / peaks.max(), 1.0) ** boost
    result: Floats = (values / shares[:, None, None]).astype(np.float32)
    return result


def _magnitude(values: Floats, mode: Mode) -> Floats:
    norm: Floats = np.sqrt((values.astype(np.float64) ** 2).sum(0)).astype(np.float32)
    if mode == "norm":
        return norm
    from skimage.filters import gaussian  # its import takes half a second, which the start of the server saves

    blurred: Floats = gaussian(norm, BLUR_SIGMA, mode="nearest", preserve_range=True)  # type: ignore[no-untyped-call]  # it has no types
    return blurred


def _cut(values: Floats) -> float:
    """The magnitude above which colours do not change: the 99.5th percentile, or the largest one if that is 0."""
    sizes = np.abs(values)
    cut = float(np.percentile(sizes, CUT_PERCENT)) if sizes.size else 0.0
    return cut if cut > 0 else float(sizes.max(initial=0.0))


def _scaled(values: Floats) -> Floats:
    cut = _cut(values)
    shares: Floats = np.clip(values / cut, -1, 1) if cut > 0 and math.isfinite(cut) else np.zeros_like(values)
    return shares


def _bent(shares: Floats, gamma: float) -> Floats:
    bent: Floats = np.sign(shares) * np.abs(shares) ** gamma
    return bent


def _coloured(name: str, shares: Floats) -> View:
    coloured: View = _table(name)[np.clip(np.rint(shares * 255), 0, 255).astype(np.uint8)]
    return coloured


@lru_cache(maxsize=4)
def _table(name: str) -> View:
    """The 256 colours of a scale, uint8 (256, 3)."""
    colours = sample_colorscale(name, np.linspace(0, 1, 256).tolist(), colortype="tuple")
    table: View = np.clip(np.rint(np.array(colours) * 255), 0, 255).astype(np.uint8)
    return table
