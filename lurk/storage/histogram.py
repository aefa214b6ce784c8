"""Histogram and ranks of a unit's values over all positions of all images, from its sketch."""

import numpy as np

from lurk.records import Floats
from lurk.storage.index import Index

BARS = 40


def histogram(index: Index, layer: str, unit: int) -> tuple[Floats, Floats]:
    """Shares of the sampled values in bars of equal width from the lowest to the highest value.

    Args:
        index: The index.
        layer: Name of the layer.
        unit: Channel number.

    Returns:
        Edges float64 (bars + 1,) and shares float64 (bars,) that sum to 1; both empty before the first checkpoint.
    """
    record = index.unit(layer, unit)
    if not record.count:
        return np.zeros(0), np.zeros(0)
    bins, counts = index.sketch(layer, unit)
    low, high = min(record.quantiles[0.0], 0.0), max(record.quantiles[1.0], 0.0)
    edges = np.linspace(low, high if high > low else low + 1.0, BARS + 1)
    below = np.interp(edges, bins, np.concatenate([[0.0], np.cumsum(counts)]))
    below[0], below[-1] = 0.0, counts.sum()
    shares = np.diff(below) / counts.sum()
    return edges, shares


def share_below(index: Index, layer: str, unit: int, value: float) -> float | None:
    """Share of the sampled values that lie below a value, as exact as the sketch is.

    Args:
        index: The index.
        layer: Name of the layer.
        unit: Channel number.
        value: The value.

    Returns:
        The share, in [0, 1], and 1 only for a value above the best image's; None before the first checkpoint.
    """
    record = index.unit(layer, unit)
    if not record.count:
        return None
    if value > (record.hits_max[0].score if record.hits_max else record.quantiles[1.0]):
        return 1.0
    edges, counts = index.sketch(layer, unit)
    if value == 0:
        below = counts[edges[:-1] < 0].sum()
    else:
        below = np.interp(value, edges, np.concatenate([[0.0], np.cumsum(counts)]))
    return float(min(below / counts.sum(), 1 - 1 / record.count))  # the best value may not be among the sampled ones
