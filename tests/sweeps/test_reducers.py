import pytest
import torch
from torch import Tensor

from lurk.sweeps.reducers import Batch, ClassMoments, Distribution, TopK, key_images, key_scores, rank_keys, two_sum


def make_batch(scores: Tensor, images: Tensor, labels: Tensor | None = None) -> Batch:
    n, units = scores.shape
    return Batch(
        images=images,
        labels=torch.zeros(n, dtype=torch.int64) if labels is None else labels,
        maximum=scores,
        position=(torch.arange(n * units, dtype=torch.int32) % 7).view(n, units),
        mean=scores / 3,
        total=scores.double(),
        square=scores.double() ** 2,
        positive=(scores > 0).float() * 2,
        bounded=(scores > 1).float(),
        positions=torch.full((units,), 4, dtype=torch.int64),
    )


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
    top = TopK(scores.shape[1], 9, "maximum")
    for start in range(0, len(images), size):
        top.add(make_batch(scores[start : start + size], images[start : start + size]))
    for unit in range(scores.shape[1]):
        order = full_sort(scores, images, unit, 9)
        assert key_images(top.keys)[unit].tolist() == images[order].tolist()
        assert torch.equal(key_scores(top.keys)[unit], scores[order, unit])


def test_position_stays_with_its_hit():
    scores, images = tied_scores(2)
    top = TopK(scores.shape[1], 5, "maximum")
    whole = make_batch(scores, images)
    for start in range(0, len(images), 16):
        part = slice(start, start + 16)
        top.offer(scores[part], whole.position[part], images[part])
    for unit in range(scores.shape[1]):
        order = full_sort(scores, images, unit, 5)
        assert top.position[unit].tolist() == whole.position[order, unit].tolist()


def test_topk_keeps_negative_scores():
    top = TopK(1, 3, "maximum")
    top.add(make_batch(torch.tensor([[-5.0], [-2.0], [-9.0]]), torch.tensor([0, 1, 2])))
    assert key_images(top.keys).tolist() == [[1, 0, 2]]
    assert key_scores(top.keys).tolist() == [[-2.0, -5.0, -9.0]]


def test_topk_with_fewer_images_than_k_leaves_places_empty():
    top = TopK(1, 4, "maximum")
    top.add(make_batch(torch.tensor([[1.0]]), torch.tensor([3])))
    assert key_images(top.keys).tolist() == [[3, -1, -1, -1]]
    assert torch.isnan(key_scores(top.keys)[0, 1:]).all()


def test_negative_zero_ties_with_zero():
    top = TopK(1, 2, "maximum")
    top.add(make_batch(torch.tensor([[0.0], [-0.0]]), torch.tensor([8, 4])))
    assert key_images(top.keys).tolist() == [[4, 8]]


def test_rank_keys_order_all_float32_magnitudes():
    scores = torch.tensor([-3e38, -1.0, -1e-40, 0.0, 1e-45, 1e-20, 1.0, 3e38])[:, None]
    keys = rank_keys(scores, torch.zeros(8, 1, dtype=torch.int64))
    assert (keys[1:] > keys[:-1]).all()
    assert torch.equal(key_scores(keys), scores)


def test_entered_names_the_images_that_are_in_some_list():
    top = TopK(2, 1, "maximum")
    top.add(make_batch(torch.tensor([[1.0, 0.0], [0.0, 3.0], [0.5, 0.5]]), torch.tensor([10, 11, 12])))
    assert top.entered.tolist() == [10, 11]
    top.add(make_batch(torch.tensor([[0.0, 0.0]]), torch.tensor([13])))
    assert top.entered.tolist() == []


def split_and_merge(make, scores, images, labels, parts, order):
    shards = []
    for part in parts:
        shard = make()
        for start in range(0, len(part), 8):
            rows = part[start : start + 8]
            shard.add(make_batch(scores[rows], images[rows], labels[rows]))
        shards.append(shard)
    merged = make()
    for place in order:
        merged.merge(shards[place])
    return merged.state()


@pytest.mark.parametrize("make", [lambda: TopK(25, 9, "mean"), lambda: ClassMoments(25, 6), lambda: Distribution(25)])
def test_any_split_and_merge_order_gives_the_same_answer(make):
    generator = torch.Generator().manual_seed(5)
    scores = torch.randn(200, 25, generator=generator) * 10 ** torch.linspace(-8, 8, 25)
    images = torch.randperm(200, generator=generator)
    labels = torch.randint(0, 6, (200,), generator=generator)
    rows = torch.arange(200)
    plain = split_and_merge(make, scores, images, labels, [rows], [0])
    shards = list(rows.split(40))
    for order in ([0, 1, 2, 3, 4], [3, 0, 4, 2, 1], [4, 3, 2, 1, 0]):
        merged = split_and_merge(make, scores, images, labels, shards, order)
        for name, tensor in plain.items():
            if name == "sums":
                assert torch.equal(tensor.sum(-1), merged[name].sum(-1))
            else:
                assert torch.equal(tensor, merged[name])


def test_class_moments_equal_float64_sums_by_hand():
    scores = torch.tensor([[1.0, -2.0], [3.0, 4.0], [5.0, 6.0]])
    moments = ClassMoments(2, 3)
    moments.add(make_batch(scores, torch.arange(3), torch.tensor([2, 0, 2])))
    assert moments.state()["count"].tolist() == [1, 0, 2]
    sums = moments.state()["sums"].sum(-1)
    assert sums[:, 2, 0].tolist() == [6.0, 4.0]
    assert sums[:, 2, 1].tolist() == [26.0, 40.0]
    assert sums[:, 1].abs().sum() == 0


def test_an_image_without_class_is_left_out_of_class_moments():
    moments = ClassMoments(1, 1)
    moments.add(make_batch(torch.tensor([[1.0], [2.0]]), torch.arange(2), torch.tensor([-1, 0])))
    assert moments.state()["count"].tolist() == [1]
    assert moments.state()["sums"][0, 0, 0, 0] == 2.0


def test_two_sum_keeps_what_float64_loses():
    high, low = torch.zeros(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    for value in (1e16, 1.0, 1.0, -1e16):
        two_sum(high, low, torch.tensor([value], dtype=torch.float64))
    assert (high + low).item() == 2.0


@pytest.mark.parametrize(
    "make", [lambda: TopK(25, 9, "maximum"), lambda: ClassMoments(25, 2), lambda: Distribution(25)]
)
def test_a_stored_state_goes_on_as_if_never_stored(make):
    scores, images = tied_scores(9)
    labels = images % 2
    first, second = slice(0, 96), slice(96, 200)
    straight = make()
    straight.add(make_batch(scores[first], images[first], labels[first]))
    stored = {name: torch.from_numpy(tensor.numpy().copy()) for name, tensor in straight.state().items()}
    straight.add(make_batch(scores[second], images[second], labels[second]))
    resumed = make()
    resumed.load(stored)
    resumed.add(make_batch(scores[second], images[second], labels[second]))
    for name, tensor in straight.state().items():
        assert torch.equal(tensor.nan_to_num(7), resumed.state()[name].nan_to_num(7))
