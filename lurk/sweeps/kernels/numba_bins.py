"""Bin numbers counted by compiled code: a unit's window lies in the processor's cache while it is counted."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lurk.storage.quantile_bins import SIDE
from lurk.sweeps.kernels.compiler import compiled
from lurk.sweeps.kernels.threads import share

Integers = NDArray[np.int32]


def count(numbers: Tensor, counts: Tensor, top: Tensor) -> None:
    """Count in windows that reach as far as each unit's highest number; what falls below a window counts as 0.

    Args:
        numbers: int16 (n, c, s), as `bin_numbers` gives them.
        counts: int32 (c, BINS), changed in place.
        top: int32 (c,), the end of each unit's window, changed in place.
    """
    given, windows, ends = numbers.numpy(), counts.numpy(), top.numpy()

    def run(first: int, last: int) -> None:
        _count(given, windows, ends, first, last)

    share(run, len(ends), given.size)


@compiled()
def _count(numbers: NDArray[np.int16], counts: Integers, top: Integers, first: int, last: int) -> None:
    """Count the numbers of some units."""
    for unit in range(first, last):
        highest = top[unit]
        for image in range(numbers.shape[0]):
            for drawing in range(numbers.shape[2]):
                highest = max(highest, abs(np.int32(numbers[image, unit, drawing])))
        if highest > top[unit]:
            _slide(counts[unit], highest - top[unit])
            top[unit] = highest
        for image in range(numbers.shape[0]):
            for drawing in range(numbers.shape[2]):
                number = np.int32(numbers[image, unit, drawing])
                place = max(abs(number) - highest + SIDE, 0)
                counts[unit, SIDE + place if number > 0 else SIDE - place] += 1


@compiled()
def _slide(counts: Integers, by: int) -> None:
    """Move a window up by some bins; counts that fall out at the lower end are counted as 0."""
    total = counts.sum()
    for place in range(1, SIDE + 1):
        source = place + by
        counts[SIDE + place] = counts[SIDE + source] if source <= SIDE else 0
        counts[SIDE - place] = counts[SIDE - source] if source <= SIDE else 0
    counts[SIDE] = 0
    counts[SIDE] = total - counts.sum()
