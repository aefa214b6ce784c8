"""The bins in which the values of a unit are counted, and the quantiles that the counts give. Torch-free.

As in DDSketch (Masson, Rim and Lee, VLDB 2019) bins have a constant relative width, and where a unit's range outgrows
its bins the lowest are collapsed into the one that holds 0. The bin of a value is read off its float32 bits: 16 bins an
octave over 24 octaves, so that a value is known to 6 %, and mostly, by interpolation, far better.
"""

import math
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from lurk.records import Floats

Counts = np.ndarray[Any, np.dtype[np.int32]]

SHIFT = 19
PER_OCTAVE = 16
OCTAVES = 24
SIDE = PER_OCTAVE * OCTAVES
BINS = 2 * SIDE + 1
PACKING = 1


def bin_edges(top: int) -> Floats:
    """Edges of the bins of a window, float64 (BINS + 1,), ascending; the middle one holds 0."""
    numbers = np.arange(top - SIDE + 1, top + 2, dtype=np.int32)
    above = np.nan_to_num((numbers << SHIFT).view(np.float32)).astype(np.float64)
    return np.concatenate([-above[::-1], above])


def quantiles(counts: Counts, top: int, probabilities: Sequence[float], highest: float = math.inf) -> list[float]:
    """Values below which given shares of the counted values lie, interpolated inside a bin.

    Args:
        counts: int32 (BINS,), one unit's counts.
        top: The unit's window.
        probabilities: Shares, in [0, 1].
        highest: The unit's largest value; infinity if it is not known.

    Returns:
        A value for each probability; NaN where nothing was counted.
    """
    total = int(counts.sum(dtype=np.int64))
    if not total:
        return [float("nan")] * len(probabilities)
    edges = bin_edges(top)
    ends = np.cumsum(counts, dtype=np.int64)
    answers = []
    for probability in probabilities:
        rank = probability * (total - 1)
        place = int(np.searchsorted(ends, rank, side="right"))
        inside = min((rank - (ends[place] - counts[place]) + 0.5) / counts[place], 1.0)
        value = edges[place] + (edges[place + 1] - edges[place]) * inside
        answers.append(0.0 if place == SIDE else float(value))
    if math.isinf(highest):
        return answers
    return [
        highest if probability == 1 else min(answer, highest)
        for probability, answer in zip(probabilities, answers, strict=True)
    ]


def packed(counts: Counts) -> bytes:
    """A unit's counts, int32 (BINS,), as a finished index keeps them: a tenth of their size, since most are 0."""
    return zlib.compress(counts.tobytes(), PACKING)


def unpacked(data: bytes) -> Counts:
    """The counts, int32 (BINS,), that were packed; raises ValueError if the data are damaged."""
    try:
        return np.frombuffer(zlib.decompress(data), np.int32, BINS)
    except zlib.error as error:
        raise ValueError(str(error)) from error
