"""Lists of hits kept in order by compiled code, which puts each hit that enters into its place."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lurk.sweeps.hits import Hits
from lurk.sweeps.kernels.compiler import compiled
from lurk.sweeps.kernels.threads import share

Integers = NDArray[np.int64]
Positions = NDArray[np.int32]
Lists = tuple[Integers, Integers, Positions]


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
    lists = hits.keys.numpy(), hits.image.numpy(), hits.position.numpy()
    offered = keys.numpy(), images.numpy(), position.numpy()
    entered = torch.zeros(len(images), dtype=torch.bool)

    def run(first: int, last: int) -> None:
        _offer(lists, offered, entered.numpy(), first, last)

    share(run, keys.shape[1], keys.numel())
    return images[entered].sort().values


@compiled()
def _offer(lists: Lists, offered: Lists, entered: NDArray[np.bool_], first: int, last: int) -> None:
    """Rank all images against the lists of some units, and note those that are in one at the end."""
    keys, images, positions = offered
    for unit in range(first, last):
        is_changed = False
        for number in range(len(images)):
            key, image = keys[number, unit], images[number]
            place = _place(lists[0][unit], lists[1][unit], key, image)
            if place < lists[0].shape[1]:
                _put(lists[0][unit], place, key)
                _put(lists[1][unit], place, image)
                _put(lists[2][unit], place, positions[number, unit])
                is_changed = True
        if is_changed:
            for number in range(len(images)):
                for place in range(lists[1].shape[1]):
                    if lists[1][unit, place] == images[number]:
                        entered[number] = True


@compiled()
def _place(keys: Integers, images: Integers, key: int, image: int) -> int:
    """The place of a hit in a list, or the list's length if it is not among the best."""
    place = len(keys)
    while place and (key > keys[place - 1] or (key == keys[place - 1] and image < images[place - 1])):
        place -= 1
    return place


@compiled()
def _put(entries: NDArray[np.int64], place: int, value: int) -> None:
    """Put a value into its place; the later ones move on by one, and the last one falls out."""
    for later in range(len(entries) - 1, place, -1):
        entries[later] = entries[later - 1]
    entries[place] = value
