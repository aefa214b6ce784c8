"""The k images that excite each unit most.

The lists are ordered by score and, among equal scores, by image number, so they do not depend on the order of the
batches or on how the images were cut into shards.

Axes: n images of a batch, u units of all layers side by side, k hits.
"""

import torch
from torch import Tensor

from lurk.storage.npy_file import Array
from lurk.sweeps.reducers import Batch, State

EMPTY = torch.iinfo(torch.int64).min
_IMAGE_BITS = 0xFFFFFFFF


def rank_keys(scores: Tensor, images: Tensor) -> Tensor:
    """Encode scores and image numbers as integers: a larger key is a higher score or, at equal scores, a lower number.

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
        """Rank the batch; `entered` then holds those of its images that are in some list."""
        self.entered = self.offer(getattr(batch, self.by).float(), batch.position, batch.images)

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
        self._insert(changed, keys[:, changed].T, position[:, changed].T)
        kept = key_images(self.keys[changed])
        entered: Tensor = torch.unique(kept[torch.isin(kept, images)])
        return entered

    def _insert(self, units: Tensor, keys: Tensor, position: Tensor) -> None:
        pool = torch.cat([self.keys[units], keys], 1)
        best, place = pool.topk(self.keys.shape[1], dim=1)
        self.position[units] = torch.cat([self.position[units], position], 1).gather(1, place)
        self.keys[units] = best

    def merge(self, state: State) -> None:
        """Rank stored lists against these."""
        score, image, position = (torch.from_numpy(state[name][:]) for name in ("score", "image", "position"))
        self._insert(torch.arange(len(self.keys)), rank_keys(score, image.long()), position)

    def state(self) -> dict[str, Array]:
        """`score` float32, `image` int32 and `position` int32, each (u, k), best first; image -1 where empty."""
        image, score = key_images(self.keys).int(), key_scores(self.keys)
        return {"score": score.numpy(), "image": image.numpy(), "position": self.position.numpy()}

    def images(self) -> set[int]:
        """The images that are in some list."""
        return {image for image in torch.unique(key_images(self.keys)).tolist() if image >= 0}
