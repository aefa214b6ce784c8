"""Moments of each class's images, with the operations of PyTorch, an image at a time (Welford 1962)."""

import torch
from torch import Tensor


def add(values: tuple[Tensor, Tensor], labels: Tensor, count: Tensor, moments: Tensor) -> None:
    """Add images to their classes.

    Args:
        values: Two numbers of each image and unit, floating point (n, u).
        labels: int64 (n,), the classes; an image with -1 is left out.
        count: int64 (y,), how many images each class has, changed in place.
        moments: float64 (y, 2, 2, u), of both numbers the mean and the sum of squared differences from it, changed
            in place.
    """
    for row, label in enumerate(labels.tolist()):
        if label >= 0:
            count[label] += 1
            value = torch.stack([one[row].double() for one in values])
            mean, squares = moments[label, :, 0], moments[label, :, 1]
            step = value - mean
            mean.add_(step / count[label])
            squares.add_(step.mul_(value - mean))
