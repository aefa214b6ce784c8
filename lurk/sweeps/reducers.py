"""Running statistics of all units at once: top lists, class moments, distribution and quantile sketch.

A reducer is fed with `add(batch)`, joined with `merge(other)` and written down as `state()`. Its answer depends only on
the set of batches that it saw, not on their order or on how they were dealt out to shards: top lists are ordered by
(score, image), counts are integers, and sums are kept in double-double arithmetic (Dekker 1971; Knuth, TAOCP vol. 2),
whose rounding error is some 1e-30 of the sum.

Axes: n images of a batch, u units of all layers side by side, k hits, y classes, b bins.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, Self

import torch
from torch import Tensor

EMPTY = torch.iinfo(torch.int64).min
_IMAGE_BITS = 0xFFFFFFFF

State = Mapping[str, Tensor]


@dataclass(frozen=True)
class Batch:
    """What the reducers see of a batch of images.

    Args:
        images: int64 (n,), position of each image in the image set.
        labels: int64 (n,), class of each image; -1 for none.
        maximum: float32 (n, u), spatial max.
        position: int32 (n, u), row-major number of the first position that holds the max.
        mean: float32 (n, u), spatial mean.
        total: float64 (n, u), sum over positions of the activation.
        square: float64 (n, u), sum over positions of the squared activation.
        positive: float32 (n, u), number of positions above 0.
        bounded: float32 (n, u), number of positions at the bound of the activation function.
        positions: int64 (u,), number of positions of each unit's layer.
    """

    images: Tensor
    labels: Tensor
    maximum: Tensor
    position: Tensor
    mean: Tensor
    total: Tensor
    square: Tensor
    positive: Tensor
    bounded: Tensor
    positions: Tensor


class Reducer(Protocol):
    """What every running statistic promises; `state` holds the tensors themselves, not copies."""

    def add(self, batch: Batch) -> None:
        """Take in a batch."""

    def merge(self, other: Self) -> None:
        """Take in all that another reducer of the same sizes has seen."""

    def state(self) -> dict[str, Tensor]:
        """Tensors from which `load` restores it."""

    def load(self, state: State) -> None:
        """Replace what was seen by a stored state."""


def two_sum(high: Tensor, low: Tensor, value: Tensor) -> None:
    """Add to a double-double sum in place.

    Args:
        high: float64, leading part of the sum.
        low: float64, the part that `high` has no room for.
        value: float64, what is added.
    """
    total = high + value
    rest = total - high
    error = (high - (total - rest)).add_(value - rest).add_(low)
    torch.add(total, error, out=high)
    torch.sub(error, high - total, out=low)


def round_sum(high: Tensor, low: Tensor) -> None:
    """Round a double-double sum to its leading part in place: what is left does not tell the order of adding."""
    high += low
    low.zero_()


def rank_keys(scores: Tensor, images: Tensor) -> Tensor:
    """Order-preserving keys: a larger key is a higher score, and of equal scores the lower image number.

    Args:
        scores: float32 (n, u), without NaN.
        images: int64, of the scores' shape or (n, 1), below 2**32; below 0 for an empty place.

    Returns:
        int64 (n, u).
    """
    bits = (scores + 0.0).contiguous().view(torch.int32)
    ordered = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    return torch.where(images < 0, EMPTY, (ordered.to(torch.int64) << 32) | (_IMAGE_BITS - images))


def key_images(keys: Tensor) -> Tensor:
    """Image numbers of rank keys, int64, -1 where the list is empty."""
    return torch.where(keys == EMPTY, -1, _IMAGE_BITS - (keys & _IMAGE_BITS))


def key_scores(keys: Tensor) -> Tensor:
    """Scores of rank keys, float32, NaN where the list is empty."""
    ordered = (keys >> 32).to(torch.int32)
    scores = (ordered ^ ((ordered >> 31) & 0x7FFFFFFF)).view(torch.float32)
    return torch.where(keys == EMPTY, torch.nan, scores)


class TopK:
    """The k highest-scoring images of every unit with the position of each one's maximum.

    >>> top = TopK(units=1, k=2, by="maximum")
    >>> top.offer(torch.tensor([[-3.0], [-1.0], [-1.0]]), torch.zeros(3, 1, dtype=torch.int32), torch.tensor([5, 9, 7]))
    tensor([7, 9])
    >>> key_images(top.keys), key_scores(top.keys)
    (tensor([[7, 9]]), tensor([[-1., -1.]]))
    """

    def __init__(self, units: int, k: int, by: str) -> None:
        """Make empty lists; `by` names the field of a batch that is ranked."""
        self.by = by
        self.keys = torch.full((units, k), EMPTY, dtype=torch.int64)
        self.position = torch.zeros((units, k), dtype=torch.int32)
        self.entered = torch.zeros(0, dtype=torch.int64)

    def add(self, batch: Batch) -> None:
        """Rank the batch; `entered` then holds the images of it that are in some list."""
        self.entered = self.offer(getattr(batch, self.by), batch.position, batch.images)

    def offer(self, scores: Tensor, position: Tensor, images: Tensor) -> Tensor:
        """Rank scores against the lists.

        Args:
            scores: float32 (n, u), without NaN.
            position: int32 (n, u).
            images: int64 (n,).

        Returns:
            int64, sorted: the images that entered some list.
        """
        keys = rank_keys(scores, images[:, None])
        changed = torch.nonzero(keys.amax(0) > self.keys[:, -1]).squeeze(1)
        if not len(changed):
            return torch.zeros(0, dtype=torch.int64)
        self._take(changed, keys[:, changed].T, position[:, changed].T)
        kept = key_images(self.keys[changed])
        entered: Tensor = torch.unique(kept[torch.isin(kept, images)])
        return entered

    def _take(self, units: Tensor, keys: Tensor, position: Tensor) -> None:
        pool = torch.cat([self.keys[units], keys], 1)
        best, place = pool.topk(self.keys.shape[1], dim=1)
        self.position[units] = torch.cat([self.position[units], position], 1).gather(1, place)
        self.keys[units] = best

    def merge(self, other: Self) -> None:
        """Rank the other's lists against these."""
        self._take(torch.arange(len(self.keys)), other.keys, other.position)

    def state(self) -> dict[str, Tensor]:
        """`score` float32, `image` int64 and `position` int32, each (u, k), best first; image -1 where empty."""
        return {"score": key_scores(self.keys), "image": key_images(self.keys), "position": self.position}

    def load(self, state: State) -> None:
        """Restore stored lists."""
        self.keys = rank_keys(state["score"], state["image"])
        self.position = state["position"]


class ClassMoments:
    """For every unit and class: sum and sum of squares of the spatial max and of the spatial mean."""

    def __init__(self, units: int, classes: int) -> None:
        self.count = torch.zeros(classes, dtype=torch.int64)
        self.sums = torch.zeros((classes, 4, 2, units), dtype=torch.float64)

    def add(self, batch: Batch) -> None:
        """Add each image to its class; an image without a class is left out."""
        maximum, mean = batch.maximum.double(), batch.mean.double()
        values = torch.stack([maximum, maximum * maximum, mean, mean * mean], 1)
        for label in sorted(set(batch.labels.tolist())):
            if label >= 0:
                members = batch.labels == label
                two_sum(self.sums[label, :, 0], self.sums[label, :, 1], values[members].sum(0))
                self.count[label] += int(members.sum())

    def merge(self, other: Self) -> None:
        """Add the other's sums."""
        self.count += other.count
        two_sum(self.sums[:, :, 0], self.sums[:, :, 1], other.sums[:, :, 0].clone())
        two_sum(self.sums[:, :, 0], self.sums[:, :, 1], other.sums[:, :, 1].clone())

    def settle(self) -> None:
        """Round each sum to the float64 nearest to it, once nothing is added any more."""
        round_sum(self.sums[:, :, 0], self.sums[:, :, 1])

    def state(self) -> dict[str, Tensor]:
        """`count` int64 (y,) and `sums` float64 (u, y, 4, 2): max, max squared, mean, mean squared; high and low."""
        sums: Tensor = self.sums.permute(3, 0, 1, 2)
        return {"count": self.count, "sums": sums}

    def load(self, state: State) -> None:
        """Restore stored sums."""
        self.count = state["count"]
        self.sums = state["sums"].permute(1, 2, 3, 0).contiguous()


class Distribution:
    """Over all positions of all images: count, sum, sum of squares, how many above 0, how many at the bound."""

    def __init__(self, units: int) -> None:
        self.counts = torch.zeros((3, units), dtype=torch.int64)
        self.sums = torch.zeros((2, 2, units), dtype=torch.float64)

    def add(self, batch: Batch) -> None:
        """Add every position of every image."""
        self.counts[0] += batch.positions * len(batch.images)
        self.counts[1] += batch.positive.double().sum(0).long()
        self.counts[2] += batch.bounded.double().sum(0).long()
        two_sum(self.sums[0, 0], self.sums[0, 1], batch.total.sum(0))
        two_sum(self.sums[1, 0], self.sums[1, 1], batch.square.sum(0))

    def merge(self, other: Self) -> None:
        """Add the other's counts and sums."""
        self.counts += other.counts
        for part in (0, 1):
            two_sum(self.sums[:, 0], self.sums[:, 1], other.sums[:, part].clone())

    def settle(self) -> None:
        """Round each sum to the float64 nearest to it, once nothing is added any more."""
        round_sum(self.sums[:, 0], self.sums[:, 1])

    def state(self) -> dict[str, Tensor]:
        """`counts` int64 (u, 3): all, above 0, at the bound; `sums` float64 (u, 2, 2): value, square; high and low."""
        return {"counts": self.counts.T, "sums": self.sums.permute(2, 0, 1)}

    def load(self, state: State) -> None:
        """Restore stored counts and sums."""
        self.counts = state["counts"].T.contiguous()
        self.sums = state["sums"].permute(1, 2, 0).contiguous()
