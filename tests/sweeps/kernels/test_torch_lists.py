"""Each way to keep lists of hits against a sort of all that was offered."""

import pytest
import torch

from lurk.sweeps.hits import EMPTY, Hits, rank_keys
from lurk.sweeps.kernels import numba_lists, torch_lists

WAYS = {"torch": torch_lists.offer, "numba": numba_lists.offer}


def offered(seed, images, units):
    """Scores and values before with many ties, positions, and image numbers in no order."""
    generator = torch.Generator().manual_seed(seed)
    scores, before = (torch.randint(-3, 3, (images, units), generator=generator).float() for _ in range(2))
    keys, position = rank_keys(scores, before), torch.randint(0, 99, (images, units), generator=generator).int()
    return keys, position, torch.randperm(5 * images, generator=generator)[:images]


@pytest.mark.parametrize("offer", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("size", [1, 7, 60])
@pytest.mark.parametrize("k", [1, 9, 80])
def test_lists_equal_a_sort_of_all_images(offer, size, k):
    keys, position, images = offered(k, 60, 40)
    hits, entered, seen = Hits.none(40, k), [], []
    for start in range(0, 60, size):
        part = slice(start, start + size)
        entered.append(offer(hits, keys[part], position[part], images[part]).tolist())
        seen.append({number for row in hits.image.tolist() for number in row} & set(images[part].tolist()))
    for unit in range(40):
        order = sorted(range(60), key=lambda at: (-keys[at, unit].item(), images[at].item()))[:k]
        empty = k - len(order)
        assert hits.keys[unit].tolist() == keys[order, unit].tolist() + [EMPTY] * empty
        assert hits.image[unit].tolist() == images[order].tolist() + [-1] * empty
        assert hits.position[unit].tolist() == position[order, unit].tolist() + [0] * empty
    assert entered == [sorted(numbers) for numbers in seen]


@pytest.mark.parametrize("offer", WAYS.values(), ids=WAYS)
def test_nothing_enters_lists_that_are_better(offer):
    keys, position, images = offered(0, 8, 4)
    hits = Hits(torch.full((4, 2), keys.max().item() + 1), torch.tensor([[1, 2]] * 4), torch.zeros(4, 2).int())
    assert offer(hits, keys, position, images + 9).tolist() == []
    assert hits.image.tolist() == [[1, 2]] * 4
