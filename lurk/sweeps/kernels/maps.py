"""What is measured of maps, and how their values are read: the contract of the kernels.

A kernel is a function `measure(values, reading, places) -> Maps`. It reads float32 values (n, c, p) with any strides
once. Maxima, positions, counts and bin numbers are exact, and the same in all kernels; sums are made in float64, so
that kernels differ by their rounding.

Axes: n images, c channels, p positions (rows times columns), s sampled positions of each image.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lurk.storage.quantile_bins import SHIFT

LARGEST = torch.finfo(torch.float32).max


@dataclass(frozen=True)
class Reading:
    """How values are read.

    Args:
        low: Values are cut off below this to give the scores. Without a cut the scores are the values.
        high: Values are cut off above this.
        lower: Scores up to this are at a bound of the activation function; -inf for none.
        upper: Scores from this on are at a bound; inf for none.
    """

    low: float = -math.inf
    high: float = math.inf
    lower: float = -math.inf
    upper: float = math.inf


@dataclass(frozen=True)
class Maps:
    """What is measured of maps, on the device of their values.

    In the first four NaN counts as the lowest float32 number, and infinity as the highest or the lowest. Of the scores
    the mean is NaN or infinite if one of them is.

    Args:
        maximum: float32 (n, c), the highest value.
        position: int32 (n, c), the first position that holds it.
        lowest: float32 (n, c), the value if it is the same at every position, else -inf.
        value_mean: float64 (n, c), mean of the values.
        mean: float64 (n, c), mean of the scores.
        squares: float64 (n, c), sum of the squared differences of the scores from their mean.
        positive: int32 (n, c), number of scores above 0.
        bounded: int32 (n, c), number of scores at a bound.
        drawn: int16 (n, c, s), `bin_numbers` of the scores at the sampled positions.
    """

    maximum: Tensor
    position: Tensor
    lowest: Tensor
    value_mean: Tensor
    mean: Tensor
    squares: Tensor
    positive: Tensor
    bounded: Tensor
    drawn: Tensor


def bin_numbers(values: Tensor) -> Tensor:
    """Numbers of the sketch's bins: those of float32 magnitudes, negative for negative values, as int16."""
    bits = values.contiguous().view(torch.int32)
    number = (bits & 0x7FFFFFFF) >> SHIFT
    return torch.where(bits < 0, -number, number).to(torch.int16)
