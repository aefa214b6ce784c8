"""What a unit answers to each class: means and deviations, from the moments that a sweep adds up.

Axes: u units, y classes. The last two axes are (of the max, of the mean) and (mean, squares), or (mean, deviation).
"""

import numpy as np

from lurk.records import Floats, Ints
from lurk.storage.npy_file import Array


def class_profile(moments: Array, count: Array) -> Floats:
    """Means and deviations of a unit's spatial max and spatial mean over the images of each class.

    Args:
        moments: float64 (..., y, 2, 2), the mean and the sum of the squared differences from it.
        count: int64 (y,), images of each class.

    Returns:
        float64 (..., y, 2, 2), the mean and the sample deviation (n - 1). NaN for a class without images; the
        deviation is NaN for a class of one image.
    """
    profile, n = np.array(moments, np.float64), np.asarray(count)[:, None]
    profile[..., 0] = np.where(n > 0, profile[..., 0], np.nan)
    profile[..., 1] = np.sqrt(np.where(n > 1, profile[..., 1], np.nan) / np.maximum(n - 1, 1))
    return profile


def rounded_profile(moments: Array, count: Array) -> Array:
    """The class profile as float32, as a finished index keeps it."""
    with np.errstate(over="ignore"):  # the deviation of two values at the ends of float32's range is infinite
        return class_profile(moments, count).astype(np.float32)


def selectivity(means: Floats) -> Floats:
    """Selectivity index of each unit: (best - rest) / (|best| + |rest|), with `rest` the mean of the other classes.

    Args:
        means: float64 (u, y), class means, NaN for a class without images.

    Returns:
        float64 (u,), in [-1, 1], NaN if fewer than two classes have images.
    """
    seen = means[:, ~np.isnan(means).all(0)]
    if seen.shape[1] < 2:
        return np.full(len(means), np.nan)
    best = seen.max(1)
    rest = (seen.sum(1) - best) / (seen.shape[1] - 1)
    size = np.abs(best) + np.abs(rest)
    index: Floats = np.divide(best - rest, size, out=np.zeros_like(size), where=size > 0)
    return index


def best_class(means: Floats) -> Ints:
    """The class that excites each unit most.

    Args:
        means: As in `selectivity`.

    Returns:
        int64 (u,), the class with the highest mean; -1 if classes share it, or fewer than two classes have images.
    """
    seen = np.where(np.isnan(means), -np.inf, means)
    best: Ints = seen.argmax(1).astype(np.int64)
    is_one = (seen == seen.max(1, keepdims=True)).sum(1) == 1
    return np.where(is_one & (np.isfinite(seen).sum(1) > 1), best, -1)
