"""Bin numbers counted on a GPU by a kernel in Triton, a program of which keeps the counts of one unit."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from lurk.storage.quantile_bins import BINS, SIDE

TILE = 1024
_BINS, _SIDE = tl.constexpr(BINS), tl.constexpr(SIDE)
_ROW = tl.constexpr(triton.next_power_of_2(BINS))


def count(numbers: Tensor, counts: Tensor, top: Tensor) -> None:
    """Count bin numbers as `torch_bins.count` says."""
    n, channels, samples = numbers.shape
    with torch.cuda.device_of(numbers):
        _count[(channels,)](numbers.contiguous(), counts, top, channels, n * samples, samples, TILE)


@triton.jit(do_not_specialize=["channels", "total", "samples"])
def _count(numbers, counts, top, channels, total, samples, tile: tl.constexpr):
    """Count the numbers of one unit, in a window that is moved up first if need be."""
    channel = tl.program_id(0)
    old = tl.load(top + channel)
    highest = old
    for begin in range(0, total, tile):
        each = begin + tl.arange(0, tile)
        highest = tl.maximum(highest, tl.max(tl.abs(_numbers(numbers, channel, channels, each, total, samples))))
    bins = tl.arange(0, _ROW)
    exists = bins < _BINS
    row = counts + channel.to(tl.int64) * _BINS
    place = bins - _SIDE
    source = tl.where(place > 0, place + highest - old, place - highest + old)
    kept = tl.load(row + source + _SIDE, mask=exists & (tl.abs(source) <= _SIDE) & (place != 0), other=0)
    before = tl.sum(tl.load(row + bins, mask=exists, other=0))
    found = tl.where(place == 0, before - tl.sum(kept), kept)
    for begin in range(0, total, tile):
        each = begin + tl.arange(0, tile)
        number = _numbers(numbers, channel, channels, each, total, samples)
        size = tl.maximum(tl.abs(number) - (highest - _SIDE), 0)
        found += tl.histogram(tl.where(number < 0, _SIDE - size, _SIDE + size), _ROW, mask=each < total)
    tl.debug_barrier()  # all counts have been read
    tl.store(row + bins, found, mask=exists)
    tl.store(top + channel, highest)


@triton.jit
def _numbers(numbers, channel, channels, each, total, samples):
    """Numbers of one unit, of which an image has `samples`; 0 for those that do not exist."""
    at = (each // samples).to(tl.int64) * channels * samples + channel * samples + each % samples
    return tl.load(numbers + at, mask=each < total, other=0).to(tl.int32)
