"""Moments of each class's images, by compiled code, an image at a time (Welford 1962)."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lurk.sweeps.kernels.compiler import compiled
from lurk.sweeps.kernels.threads import share

Doubles = NDArray[np.float64]


def add(values: tuple[Tensor, Tensor], labels: Tensor, count: Tensor, moments: Tensor) -> None:
    """Add images to their classes.

    Args:
        values: Two numbers of each image and unit, floating point (n, u).
        labels: int64 (n,), the classes; an image with -1 is left out.
        count: int64 (y,), how many images each class has, changed in place.
        moments: float64 (y, 2, 2, u), of both numbers the mean and the sum of squared differences from it, changed
            in place.
    """
    first, second, into = values[0].numpy(), values[1].numpy(), moments.numpy()
    for row, label in enumerate(labels.tolist()):
        if label < 0:
            continue
        count[label] += 1
        members = float(count[label])

        def run(begin: int, end: int, row: int = row, label: int = label, members: float = members) -> None:
            _add(first[row], into[label, 0], members, begin, end)
            _add(second[row], into[label, 1], members, begin, end)

        share(run, into.shape[-1], 2 * into.shape[-1])


@compiled()
def _add(values: Doubles, moments: Doubles, members: float, first: int, last: int) -> None:
    """Add an image's values of some units to moments that are then of so many members."""
    for unit in range(first, last):
        step = np.float64(values[unit]) - moments[0, unit]
        moments[0, unit] += step / members
        moments[1, unit] += step * (np.float64(values[unit]) - moments[0, unit])
