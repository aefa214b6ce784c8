"""A bounded-memory, exactly mergeable sketch of every unit's distribution.

The bins are those of `quantile_bins.py`. Counts are integers, and a unit's window depends on the largest magnitude that
it has seen and on nothing else, so any order of adding and merging gives the same state.

Axes: n images, u units.
"""

import torch
from torch import Tensor

from lurk.storage.npy_file import Array
from lurk.storage.quantile_bins import BINS, SIDE
from lurk.sweeps.kernels.measure import count
from lurk.sweeps.kernels.torch_bins import widen
from lurk.sweeps.reducers import Batch, State

SAMPLES = 1 << 16
LEAST_SAMPLES = 64
BLOCK = 1024


def sampled_positions(positions: int, images: int) -> int:
    """Number of positions sampled of each image: enough for 65,536 values a unit, at least 64, at most all."""
    return min(positions, max(LEAST_SAMPLES, -(-SAMPLES // max(images, 1))))


def sampled_places(images: Tensor, positions: int, count: int) -> Tensor:
    """Draw evenly spread positions, at an offset that is fixed for each image and differs between images.

    Args:
        images: int64 (n,), image numbers.
        positions: How many positions there are.
        count: How many to draw, at most all.

    Returns:
        int64 (n, count), ascending.
    """
    if count == positions:
        return torch.arange(positions).repeat(len(images), 1)
    offset = torch.remainder(images.double() * 0.6180339887498949, 1.0)[:, None]
    place = (torch.arange(count, dtype=torch.float64) + offset) * (positions / count)
    return place.long().clamp_(0, positions - 1)


class Sketch:
    """Bin counts of every unit.

    `counts` is int32 (u, BINS): SIDE bins below 0 (largest magnitude first), one for 0, SIDE bins above. `top` is int32
    (u,), the number of the highest bin of the window, never below SIDE.
    """

    def __init__(self, units: int) -> None:
        self.counts = torch.zeros((units, BINS), dtype=torch.int32)
        self.top = torch.full((units,), SIDE, dtype=torch.int32)

    def add(self, batch: Batch) -> None:
        """Count the sampled values of every layer, from now on where they are: on a GPU there are too many to fetch."""
        first = 0
        for drawn in batch.drawn:
            self.counts, self.top = self.counts.to(drawn.device), self.top.to(drawn.device)
            units = slice(first, first + drawn.shape[1])
            count(drawn, self.counts[units], self.top[units])
            first = units.stop

    def merge(self, state: State) -> None:
        """Add stored counts, a block of units at a time."""
        for first in range(0, len(self.top), BLOCK):
            block = slice(first, first + BLOCK)
            counts, top = (
                torch.from_numpy(state[name][block]).to(self.top.device, copy=True) for name in ("counts", "top")
            )
            highest = torch.maximum(self.top[block], top)
            widen(counts, top, highest)
            widen(self.counts[block], self.top[block], highest)
            self.counts[block] += counts

    def state(self) -> dict[str, Array]:
        """`counts` int32 (u, BINS) and `top` int32 (u,)."""
        return {"counts": self.counts.cpu().numpy(), "top": self.top.cpu().numpy()}
