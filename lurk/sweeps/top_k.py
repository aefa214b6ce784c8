"""The k images that excite each unit most.

The lists are ordered by score, among equal scores by the value before the activation function, and among equal values
by image number. They do not depend on the order of the batches or on how the images were cut into shards.

Axes: n images of a batch, u units of all layers side by side, k hits.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from lurk.storage.npy_file import Array
from lurk.sweeps.reducers import Batch, State

EMPTY = torch.iinfo(torch.int64).min
STORED = ("score", "before", "image", "position")
_LOW_BITS = 0xFFFFFFFF


def rank_keys(scores: Tensor, before: Tensor) -> Tensor:
    """Encode scores and what they were before as integers: a larger key is a higher score or, at equal scores, value.

    Args:
        scores: float32, without NaN.
        before: float32 of the same shape; NaN throughout a unit that has no such value.

    Returns:
        int64 of the same shape, above `EMPTY`.
    """
    return (_ordered(scores) << 32) | (_ordered(before) + (1 << 31))


def _ordered(numbers: Tensor) -> Tensor:
    """Integers of 32 bits, as int64, in the order of float32 numbers."""
    bits = (numbers + 0.0).contiguous().view(torch.int32)
    return (bits ^ ((bits >> 31) & 0x7FFFFFFF)).to(torch.int64)


def key_scores(keys: Tensor) -> Tensor:
    """Scores of rank keys, float32, NaN where the list is empty."""
    return _numbers(keys, keys >> 32)


def key_before(keys: Tensor) -> Tensor:
    """Values before the activation function of rank keys, float32, NaN where there is none or the list is empty."""
    return _numbers(keys, (keys & _LOW_BITS) - (1 << 31))


def _numbers(keys: Tensor, ordered: Tensor) -> Tensor:
    bits = ordered.to(torch.int32)
    return torch.where(keys == EMPTY, torch.nan, (bits ^ ((bits >> 31) & 0x7FFFFFFF)).view(torch.float32))


@dataclass(frozen=True)
class Hits:
    """Hits of some units, all of one shape.

    Args:
        keys: int64, of `rank_keys`; `EMPTY` for an empty place.
        image: int64, -1 for an empty place.
        position: int32.
    """

    keys: Tensor
    image: Tensor
    position: Tensor

    @classmethod
    def none(cls, units: int, k: int) -> "Hits":
        """Empty lists."""
        keys = torch.full((units, k), EMPTY, dtype=torch.int64)
        return cls(keys, torch.full_like(keys, -1), torch.zeros((units, k), dtype=torch.int32))

    def of(self, units: Tensor) -> "Hits":
        """The hits of some units, int64 (u,)."""
        return Hits(self.keys[units], self.image[units], self.position[units])

    def best_with(self, other: "Hits", k: int) -> "Hits":
        """The k best of both, best first."""
        parts = [
            torch.cat(pair, 1)
            for pair in ((self.keys, other.keys), (self.image, other.image), (self.position, other.position))
        ]
        for sort_by, descending in ((1, False), (0, True)):
            order = parts[sort_by].sort(dim=1, descending=descending, stable=True).indices
            parts = [part.gather(1, order) for part in parts]
        return Hits(*(part[:, :k] for part in parts))


class TopK:
    """The k highest-scoring images of every unit with the position of each one's maximum.

    >>> top = TopK(units=1, k=2, by="maximum", before="before")
    >>> scores, before = torch.tensor([[6.0], [6.0], [6.0]]), torch.tensor([[7.0], [9.0], [7.0]])
    >>> top.offer(rank_keys(scores, before), torch.zeros(3, 1, dtype=torch.int32), torch.tensor([5, 9, 4]))
    tensor([4, 9])
    >>> top.hits.image, key_scores(top.hits.keys), key_before(top.hits.keys)
    (tensor([[9, 4]]), tensor([[6., 6.]]), tensor([[9., 7.]]))
    """

    def __init__(self, units: int, k: int, by: str, before: str) -> None:
        """Make empty lists; `by` and `before` name the fields of a batch that are ranked."""
        self.by, self.before, self.k = by, before, k
        self.hits = Hits.none(units, k)
        self.entered = torch.zeros(0, dtype=torch.int64)

    def add(self, batch: Batch) -> None:
        """Rank the batch; `entered` then holds those of its images that are in some list."""
        keys = rank_keys(getattr(batch, self.by).float(), getattr(batch, self.before))
        self.entered = self.offer(keys, batch.position, batch.images)

    def offer(self, keys: Tensor, position: Tensor, images: Tensor) -> Tensor:
        """Rank images against the lists.

        Args:
            keys: int64 (n, u), of `rank_keys`.
            position: int32 (n, u).
            images: int64 (n,).

        Returns:
            int64, sorted: the images that entered some list.
        """
        last, last_image = self.hits.keys[:, -1], self.hits.image[:, -1]
        enters = (keys > last) | ((keys == last) & (images[:, None] < last_image))
        changed = torch.nonzero(enters.any(0)).squeeze(1)
        if not len(changed):
            return torch.zeros(0, dtype=torch.int64)
        offered = keys[:, changed].T
        self._insert(changed, Hits(offered, images.expand(offered.shape), position[:, changed].T))
        kept = self.hits.image[changed]
        entered: Tensor = torch.unique(kept[torch.isin(kept, images)])
        return entered

    def _insert(self, units: Tensor, others: Hits) -> None:
        best = self.hits.of(units).best_with(others, self.k)
        self.hits.keys[units], self.hits.image[units], self.hits.position[units] = best.keys, best.image, best.position

    def merge(self, state: State) -> None:
        """Rank stored lists against these."""
        score, before, image, position = (torch.from_numpy(state[name][:]) for name in STORED)
        keys = torch.where(image < 0, EMPTY, rank_keys(score, before))
        self._insert(torch.arange(len(keys)), Hits(keys, image.long(), position))

    def state(self) -> dict[str, Array]:
        """`score` and `before` float32, `image` and `position` int32, each (u, k), best first; image -1 where empty."""
        hits = self.hits
        stored = (key_scores(hits.keys), key_before(hits.keys), hits.image.int(), hits.position)
        return {name: part.numpy() for name, part in zip(STORED, stored, strict=True)}

    def images(self) -> set[int]:
        """The images that are in some list."""
        return {image for image in torch.unique(self.hits.image).tolist() if image >= 0}
