"""The numbers of maps, one at a time: what the compiled kernels of a CPU have in common."""

import numpy as np
from numpy.typing import NDArray

from lurk.storage.quantile_bins import SHIFT
from lurk.sweeps.kernels.compiler import compiled
from lurk.sweeps.kernels.maps import LARGEST

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
Outputs = tuple[Floats, NDArray[np.float64], NDArray[np.int32], NDArray[np.int16]]
Limits = tuple[np.float32, np.float32, np.float32, np.float32]
Extremes = tuple[np.float32, np.int32, float, bool]

HIGHEST = np.float32(LARGEST)
LOWEST = -HIGHEST
MAGNITUDE = np.int32(0x7FFFFFFF)
BIN = np.int32(SHIFT)


@compiled()
def cut(value: np.float32, low: np.float32, high: np.float32) -> np.float32:
    """The score of a value; NaN stays NaN."""
    value = low if value < low else value
    return high if value > high else value


@compiled()
def bin_number(score: np.float32) -> np.int16:
    """The number of the sketch's bin that holds a score; see `maps.bin_numbers`."""
    bits = np.float32(score).view(np.int32)
    number = (bits & MAGNITUDE) >> BIN
    return np.int16(-number if bits < 0 else number)


@compiled()
def _finite(value: np.float32) -> np.float32:
    """A value with NaN as the lowest float32 number, and infinity as the highest or the lowest."""
    value = value if value > LOWEST else LOWEST
    return value if value < HIGHEST else HIGHEST


@compiled()
def without_infinity(memory: Floats, begin: np.uint64, step: np.uint64, positions: np.uint64) -> Extremes:
    """Maximum, position, mean and flatness with NaN as the lowest number and infinity as the highest or the lowest."""
    first, length = _finite(memory[begin]), np.float64(positions)
    maximum, position, mean, is_flat = LOWEST, np.int32(0), 0.0, True
    for at in range(positions):
        value = _finite(memory[begin + at * step])
        if value > maximum:
            maximum, position = value, np.int32(at)
        mean += value / length
        is_flat = is_flat and value == first
    return maximum, position, mean, is_flat
