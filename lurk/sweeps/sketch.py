"""A bounded-memory, exactly mergeable sketch of every unit's distribution.

The bins are those of `bins.py`. Counts are integers, and a unit's window depends on the largest magnitude that it has
seen and on nothing else, so any order of adding and merging gives the same state.

Axes: u units, p sampled positions, c units of one layer.
"""

import torch
from torch import Tensor

from lurk.storage.npy_file import Array
from lurk.storage.quantile_bins import BINS, SHIFT, SIDE
from lurk.sweeps.reducers import Batch, State

SAMPLES = 1 << 16
LEAST_SAMPLES = 64
BLOCK = 1024


def sampled_positions(positions: int, images: int) -> int:
    """Number of positions sampled of each image: enough for 65,536 values a unit, at least 64, at most all."""
    return min(positions, max(LEAST_SAMPLES, -(-SAMPLES // max(images, 1))))


def sample(values: Tensor, images: Tensor, count: int) -> Tensor:
    """Draw evenly spread positions, at an offset that is fixed for each image and differs between images.

    Args:
        values: float32 (n, p, c).
        images: int64 (n,), image numbers.
        count: How many positions to draw, at most p.

    Returns:
        float32 (n * count, c).
    """
    n, positions, channels = values.shape
    if count < positions:
        offset = torch.remainder(images.double() * 0.6180339887498949, 1.0)[:, None]
        place = (
            ((torch.arange(count, dtype=torch.float64) + offset) * (positions / count)).long().clamp_(0, positions - 1)
        )
        flat = place.add_((torch.arange(n) * positions)[:, None]).view(-1)
        return values.reshape(-1, channels).index_select(0, flat.to(values.device))
    return values.reshape(-1, channels)


class Sketch:
    """Bin counts of every unit.

    `counts` is int32 (u, BINS): SIDE bins below 0 (largest magnitude first), one for 0, SIDE bins above. `top` is int32
    (u,), the number of the highest bin of the window, never below SIDE.
    """

    def __init__(self, units: int) -> None:
        self.counts = torch.zeros((units, BINS), dtype=torch.int32)
        self.top = torch.full((units,), SIDE, dtype=torch.int32)

    def add(self, batch: Batch) -> None:
        """Count the sampled values of every layer."""
        first = 0
        for counts, top in batch.bins:
            self._merge_block(counts, top, first)
            first += len(top)

    def merge(self, state: State) -> None:
        """Add stored counts, a block of units at a time."""
        for first in range(0, len(self.top), BLOCK):
            counts, top = (torch.from_numpy(state[name][first : first + BLOCK]) for name in ("counts", "top"))
            self._merge_block(counts, top, first)

    def _merge_block(self, counts: Tensor, top: Tensor, first: int) -> None:
        """Add counts (c, BINS) in windows that end at `top` (c,) to the units from `first` on."""
        mine, mine_top = self.counts[first : first + len(top)], self.top[first : first + len(top)]
        highest = torch.maximum(mine_top, top)
        grown = torch.nonzero(highest > mine_top).squeeze(1)
        if len(grown):
            mine[grown] = _slide(mine[grown], (highest - mine_top)[grown])
        behind = torch.nonzero(highest > top).squeeze(1)
        if len(behind):
            counts = counts.clone()
            counts[behind] = _slide(counts[behind], (highest - top)[behind])
        mine += counts
        mine_top.copy_(highest)

    def state(self) -> dict[str, Array]:
        """`counts` int32 (u, BINS) and `top` int32 (u,)."""
        return {"counts": self.counts.numpy(), "top": self.top.numpy()}


def bin_values(values: Tensor, tops: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Count values in windows that end at each unit's own largest magnitude.

    Args:
        values: float32 (p, c), finite.
        tops: int32 (c,), tops of earlier counts: the windows reach at least as far, so that the sketch need not slide
            the counts to those that it has. By default there are none.

    Returns:
        int64 (c, BINS) counts and int32 (c,) tops.
    """
    bits = values.contiguous().view(torch.int32)
    signed = bool((bits < 0).any())
    number = ((bits & 0x7FFFFFFF) if signed else bits.clone()) >> SHIFT
    top = number.amax(0).clamp_(min=SIDE)
    if tops is not None:
        top = torch.maximum(top, tops.to(top.device))
    number.sub_(top - SIDE).clamp_(min=0)
    if signed:
        number = torch.where(bits < 0, -number, number)
    number.add_(torch.arange(len(top), device=top.device, dtype=torch.int32) * BINS + SIDE)
    counts = torch.bincount(number.view(-1), minlength=len(top) * BINS).view(len(top), BINS)
    return counts.cpu(), top.cpu()


def _slide(counts: Tensor, by: Tensor) -> Tensor:
    """Move windows up by some bins; values that fall out at the lower end are counted as 0."""
    places = torch.arange(BINS) - SIDE
    source = torch.where(places > 0, places + by[:, None].clamp(max=SIDE), places - by[:, None].clamp(max=SIDE))
    inside = (source.abs() <= SIDE) & (places != 0)
    moved = torch.where(inside, counts.gather(1, (source + SIDE).clamp(0, BINS - 1)), 0)
    moved[:, SIDE] = counts.sum(1, dtype=torch.int64) - moved.sum(1, dtype=torch.int64)
    return moved
