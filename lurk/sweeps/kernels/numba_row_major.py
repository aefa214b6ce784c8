"""Maps measured in one read on a CPU where the positions of a map lie side by side in memory.

A map lies in the processor's cache while it is measured. A value far from 0 keeps its digits, as differences from the
map's first value are summed. That value is one of the map's own, so the sum of squares loses no more than a share of
about p roundings of a float64.
"""

import numpy as np
from numpy.typing import NDArray

from lurk.sweeps.kernels.compiler import compiled
from lurk.sweeps.kernels.numba_values import (
    MAGNITUDE,
    Extremes,
    Floats,
    Integers,
    Limits,
    Outputs,
    bin_number,
    cut,
    without_infinity,
)

CHANNELS = 16  # a tile
BLOCK = np.uint64(1024)  # values that the processor's nearest cache holds
SIGN = np.int32(31)
Span = tuple[np.uint64, np.uint64]  # unsigned: a negative place would be counted from the end, which costs time
Sums = tuple[np.int32, float, float, float, np.int32, np.int32]


@compiled()
def measure_tiles(
    memory: Floats, shape: Integers, cuts: Floats, places: Integers, tiles: tuple[int, int], out: Outputs
) -> None:
    """Measure some tiles, each of up to 16 channels of one image.

    Arrays are handed on for each tile and not for each map: numba counts the references to them, which takes as long
    as to measure a small map.

    Args:
        memory: float32, the values as they lie.
        shape: Steps from one image and from one channel to the next, number of channels and of positions.
        cuts: The numbers of a `Reading`, in its order.
        places: int64 (n, s), the sampled positions of each image.
        tiles: The first tile and the one after the last; those of an image follow one another.
        out: Written to: what `numba_maps.measure` returns, with the channels of all images in one row.
    """
    image_step, distance, channels, positions = shape
    floats, sums, counts, drawn = out
    limits, length = (cuts[0], cuts[1], cuts[2], cuts[3]), np.float64(positions)
    bits = memory.view(np.int32)
    across = (channels + CHANNELS - 1) // CHANNELS
    for tile in range(tiles[0], tiles[1]):
        image, channel = tile // across, tile % across * CHANNELS
        size, place = min(CHANNELS, channels - channel), image * channels + channel
        begin = image * image_step + channel * distance
        for number in range(size):
            at, to = np.uint64(begin + number * distance), np.uint64(place + number)
            span = at, at + np.uint64(positions)
            summed = _summed(memory, bits, span, limits)
            maximum, position, value_mean, is_flat = _extremes(memory, span, summed)
            floats[0, to], floats[1, to] = maximum, maximum if is_flat else -np.inf
            sums[0, to], sums[1, to] = value_mean, cut(memory[at], limits[0], limits[1]) + summed[2] / length
            sums[2, to] = max(summed[3] - summed[2] * summed[2] / length, 0.0)
            counts[0, to], counts[1, to], counts[2, to] = position, summed[4], summed[5]
        _draw(memory, (begin, distance, size, positions), limits, places[image], drawn[place : place + size])


@compiled()
def _draw(
    source: Floats, maps: tuple[int, int, int, int], limits: Limits, places: Integers, drawn: NDArray[np.int16]
) -> None:
    """Write the bin numbers of the sampled scores of some maps, whose positions are in order if all are sampled."""
    begin, distance, size, positions = maps
    samples, low, high = np.uint64(len(places)), limits[0], limits[1]
    for number in range(size):
        at = np.uint64(begin + number * distance)
        if samples == positions:
            for sample in range(samples):
                drawn[number, sample] = bin_number(cut(source[at + sample], low, high))
        else:
            for sample in range(samples):
                drawn[number, sample] = bin_number(cut(source[at + np.uint64(places[sample])], low, high))


@compiled()
def _extremes(source: Floats, span: Span, summed: Sums) -> Extremes:
    """Maximum, position, mean and flatness of the values of a map."""
    key, value_sum = summed[0], summed[1]
    if not np.isfinite(value_sum):
        return without_infinity(source, span[0], np.uint64(1), span[1] - span[0])
    first, maximum = source[span[0]], np.int32(_key(key)).view(np.float32)
    mean = first + value_sum / np.float64(span[1] - span[0])
    return maximum, _position(source, span, maximum), mean, value_sum == 0 and maximum == first


@compiled(reordered_sums=True)
def _summed(source: Floats, bits: NDArray[np.int32], span: Span, limits: Limits) -> Sums:
    """The key of the highest value, sums of values and scores from their first ones on, squares, and both counts."""
    first, (low, high, lower, upper) = source[span[0]], limits
    first_score = cut(first, low, high)
    key, value_sum, score_sum, squares = ~MAGNITUDE, 0.0, 0.0, 0.0
    positive, bounded = np.int32(0), np.int32(0)
    begin = span[0]
    while begin < span[1]:
        end = min(begin + BLOCK, span[1])
        for at in range(begin, end):  # a light loop first, as more of its reads are under way at once
            key = max(key, _key(bits[at]))
        for at in range(begin, end):
            score = cut(source[at], low, high)
            difference = _minus(score, first_score)
            value_sum += _minus(source[at], first)
            score_sum += difference
            squares += _square(difference)
            positive += np.int32(score > 0)
            bounded += np.int32((score <= lower) | (score >= upper))
        begin = end
    return key, value_sum, score_sum, squares, positive, bounded


@compiled()
def _key(bits: np.int32) -> np.int32:
    """The bits of a float32 as an integer of the same order, or back; NaN is out of order."""
    return np.int32(bits ^ ((bits >> SIGN) & MAGNITUDE))


@compiled()
def _minus(value: np.float32, first: np.float32) -> np.float64:
    return np.float64(value) - np.float64(first)


@compiled()
def _square(value: np.float64) -> np.float64:
    return value * value


@compiled()
def _position(source: Floats, span: Span, maximum: np.float32) -> np.int32:
    """The first position that holds the maximum."""
    found = MAGNITUDE
    for at in range(span[0], span[1]):
        found = min(found, np.int32(at - span[0]) if source[at] == maximum else MAGNITUDE)
    return found
