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
    """Rank images against lists as `torch_lists.offer` says."""
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
    (keys, numbers, positions), (new_keys, new_numbers, new_positions), k = lists, offered, lists[0].shape[1]
    for unit in range(first, last):
        is_changed = False
        for row in range(len(new_numbers)):
            key, number, place = new_keys[row, unit], new_numbers[row], k
            while place and _is_before(key, number, keys[unit, place - 1], numbers[unit, place - 1]):
                place -= 1
                if place + 1 < k:  # the last one falls out
                    keys[unit, place + 1], numbers[unit, place + 1] = keys[unit, place], numbers[unit, place]
                    positions[unit, place + 1] = positions[unit, place]
            if place < k:
                keys[unit, place], numbers[unit, place] = key, number
                positions[unit, place] = new_positions[row, unit]
                is_changed = True
        if is_changed:
            _note(numbers[unit], new_numbers, entered)


@compiled()
def _is_before(key: int, number: int, other_key: int, other_number: int) -> bool:
    return key > other_key or (key == other_key and number < other_number)


@compiled()
def _note(kept: Integers, numbers: Integers, entered: NDArray[np.bool_]) -> None:
    """Note which images are in a list."""
    for row in range(len(numbers)):
        for number in kept:
            if number == numbers[row]:
                entered[row] = True
