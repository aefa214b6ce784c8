"""The slow reference of what the kernels measure: NumPy in float64, one map at a time. And maps of many kinds."""

import math
import struct

import numpy as np
import torch
from torch import Tensor

from lurk.sweeps.kernels.maps import LARGEST, Maps, Reading

FIELDS = ("maximum", "position", "lowest", "value_mean", "mean", "squares", "positive", "bounded", "drawn")
READINGS = {
    "as it is": Reading(),
    "relu": Reading(low=0.0),
    "relu6": Reading(low=0.0, high=6.0, upper=6.0),
    "tanh's bounds": Reading(lower=-1.0, upper=1.0),
}
SHAPES = [(3, 5, 20), (1, 1, 1), (2, 3, 1), (2, 40, 17), (2, 2, 4099), (1, 65, 130)]


def values_of(kind: str, shape: tuple[int, ...] = (3, 5, 20)) -> Tensor:
    """float32 (n, c, p) of one of the `KINDS`."""
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return {
        "signed": noise,
        "negative only": -50 - noise.abs(),
        "far from zero": 1e4 + 1e-2 * noise,
        "far and wide": -1e6 + 1e3 * noise,
        "tiny": 1e-40 * noise,
        "huge": 1e38 * noise.clamp(-3, 3),
        "tied": noise.round(),
        "flat": noise[:, :, :1].expand(shape),
        "first far away": torch.cat([noise[:, :, :1] + 1e5, noise[:, :, 1:]], 2),
    }[kind]


KINDS = (
    "signed",
    "negative only",
    "far from zero",
    "far and wide",
    "tiny",
    "huge",
    "tied",
    "flat",
    "first far away",
)


def laid_out(values: Tensor, order: str) -> Tensor:
    """The same values (n, c, p) with other strides."""
    n, channels, positions = values.shape
    if order == "channels last":
        return values.permute(0, 2, 1).contiguous().permute(0, 2, 1)
    if order == "tokens behind a class token":
        whole = torch.full((n, positions + 1, channels), torch.nan)
        whole[:, 1:] = values.permute(0, 2, 1)
        return whole[:, 1:].permute(0, 2, 1)
    if order == "images last":
        return values.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    if order == "every other":
        whole = torch.full((n, channels, 2 * positions), torch.nan)
        whole[:, :, ::2] = values
        return whole[:, :, ::2]
    return values.contiguous()


ORDERS = ("row-major", "channels last", "tokens behind a class token", "images last", "every other")


def reference(values: Tensor, reading: Reading, places: Tensor) -> dict[str, np.ndarray]:
    """What is measured of (n, c, p), by name."""
    n, channels, _ = values.shape
    found = {name: np.zeros((n, channels)) for name in FIELDS[:-1]}
    found["drawn"] = np.zeros((n, channels, places.shape[1]))
    for image in range(n):
        for channel in range(channels):
            row = values[image, channel].numpy().copy()
            for name, value in _one(row, reading, places[image].tolist()).items():
                found[name][image, channel] = value
    return found


def _one(row: np.ndarray, reading: Reading, places: list[int]) -> dict[str, object]:
    finite = np.nan_to_num(row, nan=-LARGEST, posinf=LARGEST, neginf=-LARGEST).astype(np.float64)
    scores = [_cut(float(value), reading) for value in row]
    mean = math.fsum(scores) / len(scores) if np.isfinite(scores).all() else math.nan
    return {
        "maximum": max(finite),
        "position": finite.tolist().index(max(finite)),
        "lowest": finite[0] if len(set(finite.tolist())) == 1 else -math.inf,
        "value_mean": math.fsum(finite) / len(finite),
        "mean": mean,
        "squares": math.fsum((score - mean) ** 2 for score in scores),
        "positive": sum(score > 0 for score in scores),
        "bounded": sum(score >= reading.upper or score <= reading.lower for score in scores),
        "drawn": [_number(scores[place]) for place in places],
    }


def _cut(value: float, reading: Reading) -> float:
    return reading.low if value < reading.low else reading.high if value > reading.high else value


def _number(value: float) -> int:
    (bits,) = struct.unpack("i", struct.pack("f", abs(value)))
    return (bits >> 19) * (-1 if value < 0 else 1)


def assert_equal(found: Maps, expected: dict[str, np.ndarray]) -> None:
    """Everything but sums is equal to the last bit; sums are to the rounding of float64."""
    for name in ("maximum", "position", "lowest", "positive", "bounded", "drawn"):
        assert np.array_equal(getattr(found, name).numpy(), expected[name]), name
    for name in ("value_mean", "mean"):
        scale = np.abs(expected["maximum"]).max() + np.abs(expected[name]).max()
        np.testing.assert_allclose(getattr(found, name), expected[name], rtol=1e-13, atol=1e-15 * scale, err_msg=name)
    np.testing.assert_allclose(found.squares, expected["squares"], rtol=1e-10, err_msg="squares")
    assert (found.squares[torch.from_numpy(np.isfinite(expected["lowest"]))] == 0).all()
