"""Count, mean and sum of squared differences from the mean: of each class's images, and of all positions.

Two sets of values are joined by the update of Chan, Golub and LeVeque (1979), which keeps its digits where the values
are far from 0 and close to each other. A sum of squares would lose them. The result depends on the order of the
batches in the last bits of a float64 only.

Axes: n images of a batch, u units of all layers side by side, y classes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from lurk.storage.npy_file import Array
from lurk.sweeps.kernels.measure import add_to_classes
from lurk.sweeps.reducers import Batch, State

BLOCK_BYTES = 1 << 24


@dataclass(frozen=True)
class Moments:
    """Moments of sets of values: tensors of shapes that broadcast.

    Args:
        count: int64, number of values.
        mean: float64, 0 for a set without values.
        squares: float64, sum of the squared differences from the mean.
    """

    count: Tensor
    mean: Tensor
    squares: Tensor

    def absorb(self, other: "Moments") -> None:
        """Add other values to `mean` and `squares` in place; the caller adds the count."""
        share = other.count.double() / (self.count + other.count).clamp(min=1)
        step = other.mean - self.mean
        self.squares.add_(other.squares).add_(step * step * (self.count * share))
        self.mean.add_(step.mul_(share))


class ClassMoments:
    """For every unit and class, over the class's images: moments of the spatial max and of the spatial mean."""

    def __init__(self, units: int, classes: int) -> None:
        self.count = torch.zeros(classes, dtype=torch.int64)
        self.moments = torch.zeros((classes, 2, 2, units), dtype=torch.float64)

    def add(self, batch: Batch) -> None:
        """Add each image to its class; an image without a class is left out."""
        add_to_classes((batch.maximum, batch.mean), batch.labels, self.count, self.moments)

    def merge(self, state: State) -> None:
        """Add stored moments, a block of units at a time."""
        count = torch.from_numpy(state["count"][:])
        classes, units = len(self.count), self.moments.shape[-1]
        step = max(1, BLOCK_BYTES // max(classes * 32, 1))
        for first in range(0, units, step):
            mine = self.moments[..., first : first + step]
            theirs = torch.from_numpy(state["moments"][first : first + step]).permute(1, 2, 3, 0)
            Moments(self.count[:, None, None], mine[:, :, 0], mine[:, :, 1]).absorb(
                Moments(count[:, None, None], theirs[:, :, 0], theirs[:, :, 1])
            )
        self.count += count

    def state(self) -> dict[str, Array]:
        """`count` int64 (y,), and `moments` float64 (u, y, 2, 2): of max and mean, the mean and the squares."""
        return {"count": self.count.numpy(), "moments": self.moments.permute(3, 0, 1, 2).numpy()}


class Distribution:
    """Over all positions of all images: count, mean, squares, how many are above 0, how many at a bound, and the range.

    The range is that of the value that enters the monotone activation function, or without one of the unit's own. Its
    lower end is -inf unless that value is the same at all positions of each image.
    """

    def __init__(self, units: int) -> None:
        self.counts = torch.zeros((3, units), dtype=torch.int64)
        self.moments = torch.zeros((2, units), dtype=torch.float64)
        self.range = torch.tensor([[torch.inf], [-torch.inf]]).repeat(1, units)

    def add(self, batch: Batch) -> None:
        """Add every position of every image."""
        mean = batch.mean.mean(0)
        squares = (batch.mean - mean).square_().sum(0).mul_(batch.positions).add_(batch.squares.sum(0))
        count = batch.positions * len(batch.images)
        self._absorb(torch.stack([count, batch.positive.sum(0), batch.bounded.sum(0)]), mean, squares)
        highest = torch.where(batch.before.isnan(), batch.maximum, batch.before)
        self._widen(batch.lowest.amin(0), highest.amax(0))

    def merge(self, state: State) -> None:
        """Add stored counts, moments and ranges."""
        counts, moments = torch.from_numpy(state["counts"][:]), torch.from_numpy(state["moments"][:])
        self._absorb(counts.T, moments[:, 0], moments[:, 1])
        self._widen(*torch.from_numpy(state["range"][:]).T)

    def _widen(self, lowest: Tensor, highest: Tensor) -> None:
        self.range[0].clamp_(max=lowest)
        self.range[1].clamp_(min=highest)

    def _absorb(self, counts: Tensor, mean: Tensor, squares: Tensor) -> None:
        Moments(self.counts[0], self.moments[0], self.moments[1]).absorb(Moments(counts[0], mean, squares))
        self.counts += counts

    def state(self) -> dict[str, Array]:
        """`counts` int64 (u, 3): all, above 0, at a bound; `moments` float64 (u, 2); `range` float32 (u, 2)."""
        return {"counts": self.counts.T.numpy(), "moments": self.moments.T.numpy(), "range": self.range.T.numpy()}
