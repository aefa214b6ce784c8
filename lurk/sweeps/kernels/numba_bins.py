"""Bin numbers counted by compiled code, in a row of counts that stays in the processor's cache."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lurk.storage.quantile_bins import SIDE
from lurk.sweeps.kernels.compiler import compiled
from lurk.sweeps.kernels.threads import share

Integers = NDArray[np.int32]


def count(numbers: Tensor, counts: Tensor, top: Tensor) -> None:
    """Count bin numbers as `torch_bins.count` says."""
    given, windows, ends = numbers.numpy(), counts.numpy(), top.numpy()

    def run(first: int, last: int) -> None:
        _count(given, windows, ends, first, last)

    share(run, len(ends), given.size)


@compiled()
def _count(numbers: NDArray[np.int16], counts: Integers, top: Integers, first: int, last: int) -> None:
    """Count the numbers of some units, in a row that stays in the cache and of which the used part is added."""
    found = np.zeros(counts.shape[1], np.int32)
    for unit in range(first, last):
        least, most = np.int32(0), np.int32(0)
        for image in range(numbers.shape[0]):
            for drawing in range(numbers.shape[2]):
                least = min(least, np.int32(numbers[image, unit, drawing]))
                most = max(most, np.int32(numbers[image, unit, drawing]))
        end = max(-least, most)
        if end > top[unit]:
            _slide(counts[unit], end - top[unit])
            top[unit] = end
        end = top[unit]
        for image in range(numbers.shape[0]):
            for drawing in range(numbers.shape[2]):
                found[_place(np.int32(numbers[image, unit, drawing]), end)] += 1
        for place in range(_place(least, end), _place(most, end) + np.uint64(1)):
            counts[unit, place] += found[place]
            found[place] = 0


@compiled()
def _place(number: np.int32, end: np.int32) -> np.uint64:
    """The place of a bin number in a window that ends at another."""
    size = max(np.int32(abs(number) - end + SIDE), np.int32(0))
    return np.uint64(SIDE + size if number > 0 else SIDE - size)


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
