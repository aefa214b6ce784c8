"""Lists of hits kept in order with the operations of PyTorch."""

import torch
from torch import Tensor

from lurk.sweeps.hits import Hits


def offer(hits: Hits, keys: Tensor, position: Tensor, images: Tensor) -> Tensor:
    """Rank images against lists.

    Args:
        hits: (u, k), changed in place.
        keys: int64 (n, u), of `rank_keys`.
        position: int32 (n, u).
        images: int64 (n,).

    Returns:
        int64, sorted: the images that entered some list and are in it.
    """
    last, last_image = hits.keys[:, -1], hits.image[:, -1]
    enters = (keys > last) | ((keys == last) & (images[:, None] < last_image))
    changed = torch.nonzero(enters.any(0)).squeeze(1)
    offered = keys[:, changed].T
    insert(hits, changed, Hits(offered, images.expand(offered.shape), position[:, changed].T))
    kept = hits.image[changed]
    entered: Tensor = torch.unique(kept[torch.isin(kept, images)])
    return entered


def insert(hits: Hits, units: Tensor, others: Hits) -> None:
    """Put other hits into the lists of some units.

    Args:
        hits: (u, k), changed in place.
        units: int64 (c,).
        others: (c, any number), in any order.
    """
    parts = [
        torch.cat([mine[units], theirs], 1)
        for mine, theirs in ((hits.keys, others.keys), (hits.image, others.image), (hits.position, others.position))
    ]
    for sort_by, descending in ((1, False), (0, True)):
        order = parts[sort_by].sort(dim=1, descending=descending, stable=True).indices
        parts = [part.gather(1, order) for part in parts]
    k = hits.keys.shape[1]
    hits.keys[units], hits.image[units], hits.position[units] = (part[:, :k] for part in parts)
