"""Maps measured in one read on a CPU: compiled code, in which a map lies in the processor's cache while it is measured.

A value far from 0 keeps its digits, as differences from the map's first value are summed. That value is one of the
map's own, so the sum of squares loses no more than a share of about p roundings of a float64.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lurk.storage.quantile_bins import SHIFT
from lurk.sweeps.kernels.compiler import compiled
from lurk.sweeps.kernels.maps import LARGEST, Maps, Reading
from lurk.sweeps.kernels.threads import share

TILE = 16  # channels: a line of the processor's cache
BLOCK = np.uint64(1024)  # values that the processor's nearest cache holds
Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
Outputs = tuple[Floats, NDArray[np.float64], NDArray[np.int32], NDArray[np.int16]]
Span = tuple[np.uint64, np.uint64]  # unsigned: a negative place would be counted from the end, which costs time
Sums = tuple[np.int32, float, float, float, np.int32, np.int32]
Limits = tuple[np.float32, np.float32, np.float32, np.float32]
Extremes = tuple[np.float32, np.int32, float, bool]

HIGHEST = np.float32(LARGEST)
LOWEST = -HIGHEST
MAGNITUDE = np.int32(0x7FFFFFFF)
SIGN = np.int32(31)
BIN = np.int32(SHIFT)


def measure(values: Tensor, reading: Reading, places: Tensor) -> Maps:
    """Measure maps with as many threads as PyTorch has.

    Args:
        values: float32 (n, c, p), with any strides.
        reading: How they are read.
        places: int64 (n, s), the sampled positions of each image.

    Returns:
        What is measured.
    """
    n, channels, positions = values.shape
    floats, sums = torch.empty(2, n, channels), torch.empty(3, n, channels, dtype=torch.float64)
    counts = torch.empty(3, n, channels, dtype=torch.int32)
    drawn = torch.empty(n, channels, places.shape[1], dtype=torch.int16)
    out = floats.view(2, -1).numpy(), sums.view(3, -1).numpy(), counts.view(3, -1).numpy(), drawn.flatten(0, 1).numpy()
    size = sum((size - 1) * step for size, step in zip(values.shape, values.stride(), strict=True)) + 1
    memory, shape = values.as_strided((size,), (1,)).numpy(), np.array([*values.stride(), channels, positions])
    cuts = np.array([reading.low, reading.high, reading.lower, reading.upper], np.float32)

    def run(first: int, last: int) -> None:
        _measure_tiles(memory, shape, cuts, places.numpy(), (first, last), out)

    share(run, n * -(-channels // TILE), values.numel())
    return Maps(floats[0], counts[0], floats[1], sums[0], sums[1], sums[2], counts[1], counts[2], drawn)


@compiled()
def _measure_tiles(
    memory: Floats, shape: Integers, cuts: Floats, places: Integers, tiles: tuple[int, int], out: Outputs
) -> None:
    """Measure some of the tiles: up to 16 channels of one image, which are brought into row-major order if need be.

    Arrays are handed on for each tile and not for each map: numba counts the references to them, which takes as long
    as to measure a small map.
    """
    image_step, channel_step, step, channels, positions = shape
    floats, sums, counts, drawn = out
    limits, length = (cuts[0], cuts[1], cuts[2], cuts[3]), np.float64(positions)
    source = memory if step == 1 else np.empty(TILE * (positions + TILE), np.float32)
    bits = source.view(np.int32)
    across = (channels + TILE - 1) // TILE
    for tile in range(tiles[0], tiles[1]):
        image, channel = tile // across, tile % across * TILE
        size, place = min(TILE, channels - channel), image * channels + channel
        begin, distance = image * image_step + channel * channel_step, channel_step
        if step != 1:
            _order(memory, source, begin, shape, size)
            begin, distance = 0, positions + TILE
        for number in range(size):
            at, to = np.uint64(begin + number * distance), np.uint64(place + number)
            span = at, at + np.uint64(positions)
            summed = _summed(source, bits, span, limits)
            maximum, position, value_mean, is_flat = _extremes(source, span, summed)
            floats[0, to], floats[1, to] = maximum, maximum if is_flat else -np.inf
            sums[0, to], sums[1, to] = value_mean, _cut(source[at], limits[0], limits[1]) + summed[2] / length
            sums[2, to] = max(summed[3] - summed[2] * summed[2] / length, 0.0)
            counts[0, to], counts[1, to], counts[2, to] = position, summed[4], summed[5]
        _draw(source, (begin, distance, size, positions), limits, places[image], drawn[place : place + size])


@compiled()
def _order(memory: Floats, source: Floats, begin: int, shape: Integers, size: int) -> None:
    """Bring some channels into row-major order, a line of the cache apart."""
    _, channel_step, step, _, positions = shape
    for position in range(positions):
        for number in range(size):
            source[number * (positions + TILE) + position] = memory[begin + position * step + number * channel_step]


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
                drawn[number, sample] = _bin_number(_cut(source[at + sample], low, high))
        else:
            for sample in range(samples):
                drawn[number, sample] = _bin_number(_cut(source[at + np.uint64(places[sample])], low, high))


@compiled()
def _extremes(source: Floats, span: Span, summed: Sums) -> Extremes:
    """Maximum, position, mean and flatness of the values of a map."""
    key, value_sum = summed[0], summed[1]
    if not np.isfinite(value_sum):
        return _without_infinity(source, span)
    first, maximum = source[span[0]], np.int32(_key(key)).view(np.float32)
    mean = first + value_sum / np.float64(span[1] - span[0])
    return maximum, _position(source, span, maximum), mean, value_sum == 0 and maximum == first


@compiled(reordered_sums=True)
def _summed(source: Floats, bits: NDArray[np.int32], span: Span, limits: Limits) -> Sums:
    """The key of the highest value, sums of values and scores from their first ones on, squares, and both counts."""
    first, (low, high, lower, upper) = source[span[0]], limits
    first_score = _cut(first, low, high)
    key, value_sum, score_sum, squares = ~MAGNITUDE, 0.0, 0.0, 0.0
    positive, bounded = np.int32(0), np.int32(0)
    begin = span[0]
    while begin < span[1]:
        end = min(begin + BLOCK, span[1])
        for at in range(begin, end):  # a light loop first, as more of its reads are under way at once
            key = max(key, _key(bits[at]))
        for at in range(begin, end):
            score = _cut(source[at], low, high)
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
def _cut(value: np.float32, low: np.float32, high: np.float32) -> np.float32:
    value = low if value < low else value
    return high if value > high else value


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


@compiled()
def _bin_number(score: np.float32) -> np.int16:
    bits = np.float32(score).view(np.int32)
    number = (bits & MAGNITUDE) >> BIN
    return np.int16(-number if bits < 0 else number)


@compiled()
def _without_infinity(source: Floats, span: Span) -> Extremes:
    """Maximum, position, mean and flatness with NaN as the lowest number and infinity as the highest or the lowest."""
    first, number = _finite(source[span[0]]), np.float64(span[1] - span[0])
    maximum, position, mean, is_flat = LOWEST, np.int32(0), 0.0, True
    for at in range(span[0], span[1]):
        value = _finite(source[at])
        if value > maximum:
            maximum, position = value, np.int32(at - span[0])
        mean += value / number
        is_flat = is_flat and value == first
    return maximum, position, mean, is_flat


@compiled()
def _finite(value: np.float32) -> np.float32:
    value = value if value > LOWEST else LOWEST
    return value if value < HIGHEST else HIGHEST
