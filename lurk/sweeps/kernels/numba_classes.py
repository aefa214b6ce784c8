"""Moments of each class's images, by compiled code, an image at a time (Welford 1962)."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lurk.sweeps.kernels.compiler import compiled
from lurk.sweeps.kernels.threads import share

Pair = tuple[NDArray[np.float32], NDArray[np.float64]]
Integers = NDArray[np.int64]


def add(values: tuple[Tensor, Tensor], labels: Tensor, count: Tensor, moments: Tensor) -> None:
    """Add images to their classes as `torch_classes.add` says."""
    members = torch.zeros_like(labels)
    for row, label in enumerate(labels.tolist()):
        if label >= 0:
            count[label] += 1
            members[row] = count[label]
    given, classes = (values[0].numpy(), values[1].numpy()), labels.numpy()

    def run(first: int, last: int) -> None:
        _add(given, classes, members.numpy(), moments.numpy(), (first, last))

    share(run, moments.shape[-1], values[0].numel())


@compiled()
def _add(
    values: Pair, labels: Integers, members: Integers, moments: NDArray[np.float64], units: tuple[int, int]
) -> None:
    """Add all images' values of some units; with each image its class has so many members."""
    first, second = values
    for row in range(len(labels)):
        if labels[row] >= 0:
            for unit in range(units[0], units[1]):
                _add_value(first[row, unit], moments, (labels[row], 0), members[row], unit)
                _add_value(second[row, unit], moments, (labels[row], 1), members[row], unit)


@compiled()
def _add_value(value: float, moments: NDArray[np.float64], place: tuple[int, int], members: int, unit: int) -> None:
    """Add a value to the mean and the squares of its class."""
    label, number = place
    step = value - moments[label, number, 0, unit]
    moments[label, number, 0, unit] += step / members
    moments[label, number, 1, unit] += step * (value - moments[label, number, 0, unit])
