"""The k images that excite each unit most.

The lists are ordered by score, among equal scores by the value before the activation function, and among equal values
by image number. They do not depend on the order of the batches or on how the images were cut into shards.

Axes: n images of a batch, u units of all layers side by side, k hits.
"""

import torch
from torch import Tensor

from lurk.storage.npy_file import Array
from lurk.sweeps.hits import EMPTY, Hits, key_before, key_scores, rank_keys
from lurk.sweeps.kernels.measure import offer
from lurk.sweeps.kernels.torch_lists import insert
from lurk.sweeps.reducers import Batch, State

STORED = ("score", "before", "image", "position")


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
        return offer(self.hits, keys, position, images)

    def merge(self, state: State) -> None:
        """Rank stored lists against these."""
        score, before, image, position = (torch.from_numpy(state[name][:]) for name in STORED)
        keys = torch.where(image < 0, EMPTY, rank_keys(score, before))
        insert(self.hits, torch.arange(len(keys)), Hits(keys, image.long(), position))

    def state(self) -> dict[str, Array]:
        """`score` and `before` float32, `image` and `position` int32, each (u, k), best first; image -1 where empty."""
        hits = self.hits
        stored = (key_scores(hits.keys), key_before(hits.keys), hits.image.int(), hits.position)
        return {name: part.numpy() for name, part in zip(STORED, stored, strict=True)}

    def images(self) -> set[int]:
        """The images that are in some list."""
        return {image for image in torch.unique(self.hits.image).tolist() if image >= 0}
