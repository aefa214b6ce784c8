import pytest
import torch
from torch import Tensor

from lurk.sweeps.hits import key_before, key_scores, rank_keys
from lurk.sweeps.top_k import TopK
from tests.sweeps.batches import make_batch


def top_list(units: int, k: int) -> TopK:
    return TopK(units, k, "maximum", "before")


def full_sort(scores: Tensor, images: Tensor, unit: int, k: int) -> list[int]:
    order = sorted(range(len(images)), key=lambda i: (-scores[i, unit].item(), images[i].item()))
    return order[:k]


def tied_scores(seed: int, n: int = 200, units: int = 25) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(n, units, generator=generator).round(decimals=1)
    return scores, torch.randperm(10 * n, generator=generator)[:n]


@pytest.mark.parametrize("size", [1, 7, 64, 200])
def test_top_lists_equal_a_full_sort_with_ties_for_any_batch_size(size):
    scores, images = tied_scores(1)
    top = top_list(scores.shape[1], 9)
    for start in range(0, len(images), size):
        top.add(make_batch(scores[start : start + size], images[start : start + size]))
    for unit in range(scores.shape[1]):
        order = full_sort(scores, images, unit, 9)
        assert top.hits.image[unit].tolist() == images[order].tolist()
        assert torch.equal(key_scores(top.hits.keys)[unit], scores[order, unit])


def test_position_stays_with_its_hit():
    scores, images = tied_scores(2)
    top = top_list(scores.shape[1], 5)
    whole = make_batch(scores, images)
    for start in range(0, len(images), 16):
        part = slice(start, start + 16)
        top.offer(rank_keys(scores[part], whole.before[part]), whole.position[part], images[part])
    for unit in range(scores.shape[1]):
        order = full_sort(scores, images, unit, 5)
        assert top.hits.position[unit].tolist() == whole.position[order, unit].tolist()


def test_topk_keeps_negative_scores():
    top = top_list(1, 3)
    top.add(make_batch(torch.tensor([[-5.0], [-2.0], [-9.0]]), torch.tensor([0, 1, 2])))
    assert top.hits.image.tolist() == [[1, 0, 2]]
    assert key_scores(top.hits.keys).tolist() == [[-2.0, -5.0, -9.0]]


def test_topk_with_fewer_images_than_k_leaves_places_empty():
    top = top_list(1, 4)
    top.add(make_batch(torch.tensor([[1.0]]), torch.tensor([3])))
    assert top.hits.image.tolist() == [[3, -1, -1, -1]]
    assert torch.isnan(key_scores(top.hits.keys)[0, 1:]).all()


def test_negative_zero_ties_with_zero():
    top = top_list(1, 2)
    top.add(make_batch(torch.tensor([[0.0], [-0.0]]), torch.tensor([8, 4])))
    assert top.hits.image.tolist() == [[4, 8]]


@pytest.mark.parametrize("size", [1, 7, 64, 200])
def test_equal_scores_are_ordered_by_what_was_before_and_then_by_number(size):
    before, images = tied_scores(3)
    scores = before.clamp(-0.5, 0.5)
    top = top_list(scores.shape[1], 9)
    for start in range(0, len(images), size):
        part = slice(start, start + size)
        top.add(make_batch(scores[part], images[part], before=before[part]))
    for unit in range(scores.shape[1]):
        order = full_sort(before, images, unit, 9)
        assert top.hits.image[unit].tolist() == images[order].tolist()
        assert torch.equal(key_before(top.hits.keys)[unit], before[order, unit])
        assert torch.equal(key_scores(top.hits.keys)[unit], scores[order, unit])


def test_a_higher_value_before_never_outranks_a_higher_score():
    top = top_list(1, 3)
    scores, before = torch.tensor([[0.5], [0.75], [0.5]]), torch.tensor([[9.0], [1.0], [2.0]])
    top.add(make_batch(scores, torch.tensor([0, 1, 2]), before=before))
    assert top.hits.image.tolist() == [[1, 0, 2]]


def test_entered_names_the_images_that_are_in_some_list():
    top = top_list(2, 1)
    top.add(make_batch(torch.tensor([[1.0, 0.0], [0.0, 3.0], [0.5, 0.5]]), torch.tensor([10, 11, 12])))
    assert top.entered.tolist() == [10, 11]
    top.add(make_batch(torch.tensor([[0.0, 0.0]]), torch.tensor([13])))
    assert top.entered.tolist() == []
