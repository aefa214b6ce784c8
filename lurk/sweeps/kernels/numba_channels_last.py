"""Maps measured in one read on a CPU where the channels of a position lie side by side in memory.

64 channels are measured together, so that a processor computes with several of them at once. Their sums lie in rows
of 64, one behind the other in one array. As in `numba_row_major`, differences from a map's first value are summed.
"""

import numpy as np
from numpy.typing import NDArray

from lurk.sweeps.kernels.compiler import compiled
from lurk.sweeps.kernels.numba_values import Floats, Integers, Limits, Outputs, bin_number, cut, without_infinity

CHANNELS = 64  # a tile
WIDTH = np.uint64(CHANNELS)
VECTOR = np.uint64(16)  # channels that a processor computes with at once
ROWS = np.uint64(32)  # positions that are copied together into the processor's nearest cache
FIRST, FIRST_SCORE, VALUES, SCORES, SQUARES = (np.uint64(CHANNELS * row) for row in range(5))
POSITION, POSITIVE, BOUNDED = (np.uint64(CHANNELS * row) for row in range(3))
HIGHEST = ROWS * WIDTH  # the row of the highest values, behind those of a block
Sums = NDArray[np.float64]
Counts = NDArray[np.int32]
Tile = tuple[np.uint64, np.uint64, np.uint64, np.uint64]  # its first value, step between positions, positions, channels


@compiled()
def measure_tiles(
    memory: Floats, shape: Integers, cuts: Floats, places: Integers, tiles: tuple[int, int], out: Outputs
) -> None:
    """Measure some tiles, each of up to 64 channels of one image.

    Args:
        memory: float32, the values as they lie.
        shape: Steps from one image and from one position to the next, number of channels and of positions.
        cuts: The numbers of a `Reading`, in its order.
        places: int64 (n, s), the sampled positions of each image.
        tiles: The first tile and the one after the last; those of an image follow one another.
        out: Written to: what `numba_maps.measure` returns, with the channels of all images in one row.
    """
    image_step, step, channels, positions = shape
    limits = cuts[0], cuts[1], cuts[2], cuts[3]
    block = np.zeros(HIGHEST + WIDTH, np.float32)
    sums, counts = np.zeros(5 * WIDTH, np.float64), np.zeros(3 * WIDTH, np.int32)
    across = (channels + CHANNELS - 1) // CHANNELS
    for number in range(tiles[0], tiles[1]):
        image, channel = number // across, number % across * CHANNELS
        size, place = min(CHANNELS, channels - channel), image * channels + channel
        tile = np.uint64(image * image_step + channel), np.uint64(step), np.uint64(positions), np.uint64(size)
        _begin(memory, tile, limits, block, sums, counts)
        row = np.uint64(0)
        while row < tile[2]:
            rows = min(ROWS, tile[2] - row)
            _copy(memory, tile, row, rows, block)
            _add(block, (row, rows, tile[3]), limits, sums, counts)
            row += rows
        if not _finish(block, sums, counts, tile, np.uint64(place), out):
            _correct(memory, sums, tile, np.uint64(place), out)
        _draw(memory, tile, limits, places[image], out[3][place : place + size])


@compiled()
def _begin(memory: Floats, tile: Tile, limits: Limits, block: Floats, sums: Sums, counts: Counts) -> None:
    """Let each map begin with its first value as the highest, and with sums of 0."""
    begin, _, _, size = tile
    for channel in range(size):
        value = memory[begin + channel]
        block[HIGHEST + channel] = value
        sums[FIRST + channel] = value
        sums[FIRST_SCORE + channel] = cut(value, limits[0], limits[1])
    sums[VALUES:] = 0
    counts[:] = 0


@compiled()
def _copy(memory: Floats, tile: Tile, first: np.uint64, rows: np.uint64, block: Floats) -> None:
    """Copy the values of some positions into a block."""
    begin, step, _, size = tile
    for row in range(rows):
        at, to = begin + (first + row) * step, row * WIDTH
        for channel in range(size):
            block[to + channel] = memory[at + channel]


@compiled()
def _add(
    block: Floats, part: tuple[np.uint64, np.uint64, np.uint64], limits: Limits, sums: Sums, counts: Counts
) -> None:
    """Add a block to the sums, with up to 15 channels that no one asks for: a processor takes 16 sooner than 9."""
    (first, rows, size), (low, high, lower, upper) = part, limits
    channels = (size + VECTOR - np.uint64(1)) // VECTOR * VECTOR
    for row in range(rows):
        at, position = row * WIDTH, np.int32(first + row)
        for channel in range(channels):
            value, highest = block[at + channel], block[HIGHEST + channel]
            counts[POSITION + channel] = position if value > highest else counts[POSITION + channel]
            block[HIGHEST + channel] = value if value > highest else highest
        for channel in range(channels):
            value = block[at + channel]
            score = cut(value, low, high)
            difference = np.float64(score) - sums[FIRST_SCORE + channel]
            sums[VALUES + channel] += np.float64(value) - sums[FIRST + channel]
            sums[SCORES + channel] += difference
            sums[SQUARES + channel] += difference * difference
            counts[POSITIVE + channel] += np.int32(score > 0)
            counts[BOUNDED + channel] += np.int32((score <= lower) | (score >= upper))


@compiled()
def _finish(block: Floats, sums: Sums, counts: Counts, tile: Tile, place: np.uint64, out: Outputs) -> bool:
    """Write what was measured; returns whether all values are finite."""
    (_, _, positions, size), (floats, precise, whole, _) = tile, out
    length, is_finite = np.float64(positions), True
    for channel in range(size):
        value_sum, score_sum, to = sums[VALUES + channel], sums[SCORES + channel], place + channel
        highest = block[HIGHEST + channel]
        floats[0, to] = highest
        floats[1, to] = highest if (value_sum == 0) & (highest == sums[FIRST + channel]) else -np.inf
        precise[0, to] = sums[FIRST + channel] + value_sum / length
        precise[1, to] = sums[FIRST_SCORE + channel] + score_sum / length
        precise[2, to] = max(sums[SQUARES + channel] - score_sum * score_sum / length, 0.0)
        whole[0, to] = counts[POSITION + channel]
        whole[1, to] = counts[POSITIVE + channel]
        whole[2, to] = counts[BOUNDED + channel]
        is_finite &= np.isfinite(value_sum)
    return is_finite


@compiled()
def _correct(memory: Floats, sums: Sums, tile: Tile, place: np.uint64, out: Outputs) -> None:
    """Measure the maps again that are not finite."""
    (begin, step, positions, size), (floats, precise, whole, _) = tile, out
    for channel in range(size):
        if not np.isfinite(sums[VALUES + channel]):
            to = place + channel
            maximum, position, mean, is_flat = without_infinity(memory, begin + channel, step, positions)
            floats[0, to], floats[1, to] = maximum, maximum if is_flat else -np.inf
            precise[0, to], whole[0, to] = mean, position


@compiled()
def _draw(memory: Floats, tile: Tile, limits: Limits, places: Integers, drawn: NDArray[np.int16]) -> None:
    """Write the bin numbers of the sampled scores."""
    begin, step, _, size = tile
    for sample in range(len(places)):
        at = begin + np.uint64(places[sample]) * step
        for channel in range(size):
            drawn[channel, sample] = bin_number(cut(memory[at + channel], limits[0], limits[1]))
