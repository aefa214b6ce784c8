"""Maps measured on a GPU by one kernel in Triton, which reads each value once, in whatever order they lie in memory.

A program of the kernel measures a block of channels of one image, a tile of (channels, positions) at a time. Each
element of the tile keeps running figures of its own, and they are joined at the end. Scores are summed in float64 as
differences from the map's first score. As that one is among the scores whose spread is measured, the sum of squares is
at most as many times the spread as there are positions, so the digits that it loses are few.

With `TRITON_INTERPRET=1` in the environment Triton runs the kernel on a CPU, without compiling it.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from lurk.storage.quantile_bins import SHIFT
from lurk.sweeps.kernels.maps import LARGEST, Maps, Reading

TILE, CHANNELS = 1024, 32
WARPS = 8
_HIGHEST, _SHIFT = tl.constexpr(LARGEST), tl.constexpr(SHIFT)
_STAGES, _DRAWN = tl.constexpr(3), tl.constexpr(32)


def measure(values: Tensor, reading: Reading, places: Tensor) -> Maps:
    """Measure maps on a GPU.

    Args:
        values: float16, bfloat16 or float32 (n, c, p), with any strides.
        reading: How they are read.
        places: int64 (n, s), the sampled positions of each image.

    Returns:
        What is measured.
    """
    n, channels, positions = values.shape
    samples, places = places.shape[1], places.to(values.device, non_blocking=True).contiguous()
    shapes = {torch.float32: (2, n, channels), torch.float64: (3, n, channels), torch.int32: (3, n, channels)}
    floats, doubles, counts = (values.new_empty(shape, dtype=dtype) for dtype, shape in shapes.items())
    drawn = values.new_empty((n, channels, samples), dtype=torch.int16)
    block, tile = _tile(channels, positions, values.stride(1))
    with torch.cuda.device_of(values):
        _measure[(n * triton.cdiv(channels, block),)](
            *(values, places, floats, doubles, counts, drawn),
            *(n, channels, positions, samples, *values.stride()),
            *(reading.low, reading.high, reading.lower, reading.upper),
            *(block, tile),
            num_warps=WARPS,
        )
    (maximum, lowest), (value_mean, mean, squares), (position, positive, bounded) = floats, doubles, counts
    return Maps(maximum, position, lowest, value_mean, mean, squares, positive, bounded, drawn)


def _tile(channels: int, positions: int, channel_stride: int) -> tuple[int, int]:
    """How many channels and positions a tile has: more of those that are next to each other in memory."""
    if channel_stride == 1:
        block = min(triton.next_power_of_2(channels), CHANNELS)
        return block, min(triton.next_power_of_2(positions), TILE // block)
    tile = min(triton.next_power_of_2(positions), TILE)
    return min(triton.next_power_of_2(channels), TILE // tile), tile


@triton.jit(do_not_specialize=["n", "samples"])
def _measure(
    values,
    places,
    floats,
    doubles,
    counts,
    drawn,
    n,
    channels,
    positions,
    samples,
    image_stride,
    channel_stride,
    position_stride,
    low,
    high,
    lower,
    upper,
    block: tl.constexpr,
    tile: tl.constexpr,
):
    """Measure a block of channels of one image; in the tiles, channels go down and positions across."""
    blocks = tl.cdiv(channels, block)
    image = (tl.program_id(0) // blocks).to(tl.int64)
    channel = (tl.program_id(0) % blocks) * block + tl.arange(0, block)
    exists = channel < channels
    maps = (values + image * image_stride + channel.to(tl.int64) * channel_stride)[:, None]
    first = tl.load(maps, mask=exists[:, None], other=0).to(tl.float32)
    first_value = _finite(first)
    first_score = _cut(first, low, high).to(tl.float64)
    best = tl.full((block, tile), -float("inf"), tl.float32)
    best_at = tl.zeros((block, tile), tl.int32)
    differs = tl.zeros((block, tile), tl.int32)
    positive = tl.zeros((block, tile), tl.int32)
    bounded = tl.zeros((block, tile), tl.int32)
    value_sum = tl.zeros((block, tile), tl.float64)
    score_sum = tl.zeros((block, tile), tl.float64)
    squares = tl.zeros((block, tile), tl.float64)
    for begin in tl.range(0, positions, tile, num_stages=_STAGES):
        at = begin + tl.arange(0, tile)[None, :]
        inside = exists[:, None] & (at < positions)
        read = tl.load(maps + at.to(tl.int64) * position_stride, mask=inside, other=0).to(tl.float32)
        value = _finite(read)
        is_higher = inside & (value > best)
        best = tl.where(is_higher, value, best)
        best_at = tl.where(is_higher, at, best_at)
        differs |= (inside & (value != first_value)).to(tl.int32)
        value_sum += tl.where(inside, value, 0).to(tl.float64)
        score = _cut(read, low, high)
        positive += (inside & (score > 0)).to(tl.int32)
        bounded += (inside & ((score >= upper) | (score <= lower))).to(tl.int32)
        step = tl.where(inside, score.to(tl.float64) - first_score, 0)
        score_sum += step
        squares += step * step
    maximum = tl.max(best, 1)
    at_maximum = tl.where(best == maximum[:, None], best_at, positions)
    score_sums = tl.sum(score_sum, 1)
    mean = tl.reshape(first_score, (block,)) + score_sums / positions
    to = image * channels + channel
    size = n.to(tl.int64) * channels  # of one figure of all maps
    tl.store(floats + to, maximum, mask=exists)
    tl.store(floats + to + size, tl.where(tl.max(differs, 1) == 0, maximum, -float("inf")), mask=exists)
    tl.store(doubles + to, tl.sum(value_sum, 1) / positions, mask=exists)
    tl.store(doubles + to + size, mean, mask=exists)
    tl.store(doubles + to + 2 * size, tl.sum(squares, 1) - score_sums * score_sums / positions, mask=exists)
    tl.store(counts + to, tl.min(at_maximum, 1), mask=exists)
    tl.store(counts + to + size, tl.sum(positive, 1), mask=exists)
    tl.store(counts + to + 2 * size, tl.sum(bounded, 1), mask=exists)
    for begin in range(0, samples, _DRAWN):
        number = begin + tl.arange(0, _DRAWN)[None, :]
        at = tl.load(places + image * samples + number, mask=number < samples, other=0)
        inside = exists[:, None] & (number < samples)
        read = tl.load(maps + at * position_stride, mask=inside, other=0).to(tl.float32)
        tl.store(drawn + to[:, None] * samples + number, _bin_number(_cut(read, low, high)), mask=inside)


@triton.jit
def _finite(value):
    """NaN as the lowest number, infinity as the highest or the lowest."""
    value = tl.where(value != value, -_HIGHEST, value)  # noqa: PLR0124 - only NaN differs from itself
    return tl.minimum(tl.maximum(value, -_HIGHEST), _HIGHEST)


@triton.jit
def _cut(value, low, high):
    """Values cut off below `low` and above `high`; NaN stays."""
    value = tl.where(value < low, low, value)
    return tl.where(value > high, high, value)


@triton.jit
def _bin_number(score):
    """As `bin_numbers` of the contract."""
    bits = score.to(tl.int32, bitcast=True)
    number = (bits & 0x7FFFFFFF) >> _SHIFT
    return tl.where(bits < 0, -number, number).to(tl.int16)
