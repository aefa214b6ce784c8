"""Means and squares against NumPy in float64 on all values at once."""

import numpy as np
import pytest
import torch

from lurk.storage.class_profile import class_profile
from lurk.sweeps import moments
from lurk.sweeps.moments import ClassMoments, Distribution
from tests.sweeps.batches import batch_of_positions, make_batch

N, POSITIONS, UNITS, CLASSES = 101, 12, 7, 5
KINDS = ("signed", "negative only", "far from zero", "far and wide", "constant", "tiny")


def activations(kind):
    """float32 (n, p, u)."""
    drawn = torch.randn(N, POSITIONS, UNITS, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return {
        "signed": drawn,
        "negative only": -drawn.abs() - 0.1,
        "far from zero": 1e4 + 1e-2 * drawn,
        "far and wide": -1e6 + 1e3 * drawn,
        "constant": torch.full_like(drawn, 3.7),
        "tiny": 1e-20 * drawn,
    }[kind].float()


def labels():
    """Class 0 has one image, class 3 none, and some images have no class."""
    found = torch.randint(0, CLASSES, (N,), generator=torch.Generator().manual_seed(1))
    found[found == 0], found[found == 3] = 1, -1
    found[40] = 0
    return found


def batches(values, size=8):
    """Batches of 8 images and a last one of 5."""
    for start in range(0, N, size):
        yield batch_of_positions(values[start : start + size], labels()[start : start + size])


def merged(make, values, shards=4):
    """A reducer merged from shards of whole batches."""
    every, whole = list(batches(values)), make()
    for number in range(shards):
        shard = make()
        for batch in every[len(every) * number // shards : len(every) * (number + 1) // shards]:
            shard.add(batch)
        whole.merge(shard.state())
    return whole


def fed(make, values):
    reducer = make()
    for batch in batches(values):
        reducer.add(batch)
    return reducer


@pytest.mark.parametrize("run", [fed, merged])
@pytest.mark.parametrize("kind", KINDS)
def test_class_means_and_deviations_equal_numpys_on_all_values(kind, run):
    values = activations(kind)
    state = run(lambda: ClassMoments(UNITS, CLASSES), values).state()
    profile = class_profile(state["moments"], state["count"])
    per_image = values.double().numpy()
    for label in range(CLASSES):
        members = per_image[labels().numpy() == label]
        assert state["count"][label] == len(members)
        for place, scores in enumerate((members.max(1, initial=-np.inf), members.mean(1))):
            mean, deviation = profile[:, label, place].T
            if len(members):
                np.testing.assert_allclose(mean, scores.mean(0), rtol=1e-12)
            else:
                assert np.isnan(mean).all()
            if len(members) > 1:
                rounding = 1e-15 * np.abs(scores).max()
                np.testing.assert_allclose(deviation, scores.std(0, ddof=1), rtol=1e-9, atol=rounding)
            else:
                assert np.isnan(deviation).all()


@pytest.mark.parametrize("run", [fed, merged])
@pytest.mark.parametrize("kind", KINDS)
def test_mean_and_deviation_over_all_positions_equal_numpys(kind, run):
    values = activations(kind)
    state = run(lambda: Distribution(UNITS), values).state()
    every = values.double().numpy().reshape(-1, UNITS)
    mean, squares = state["moments"].T
    np.testing.assert_allclose(mean, every.mean(0), rtol=1e-12)
    deviation = np.sqrt(squares / state["counts"][:, 0])
    np.testing.assert_allclose(deviation, every.std(0), rtol=1e-9, atol=1e-15 * np.abs(every).max())
    assert state["counts"].tolist() == [[len(every), (row > 0).sum(), (row >= 6).sum()] for row in every.T]


def test_shards_agree_with_one_run_within_a_billionth_where_values_nearly_cancel():
    values = activations("far from zero")
    one, many = (run(lambda: ClassMoments(UNITS, CLASSES), values).state()["moments"] for run in (fed, merged))
    np.testing.assert_allclose(many, one, rtol=1e-9)
    deviation = np.sqrt(one[:, 1, 1, 1] / (labels() == 1).sum().item())
    assert (deviation < 0.02).all()
    assert (deviation > 0.001).all()


def test_class_moments_by_hand():
    reducer = ClassMoments(2, 3)
    reducer.add(
        make_batch(torch.tensor([[1.0, -2.0], [3.0, 4.0], [5.0, 6.0]]), torch.arange(3), torch.tensor([2, 0, 2]))
    )
    state = reducer.state()
    assert state["count"].tolist() == [1, 0, 2]
    assert state["moments"][:, 2, 0].tolist() == [[3.0, 8.0], [2.0, 32.0]]
    assert state["moments"][:, 0, 0].tolist() == [[3.0, 0.0], [4.0, 0.0]]
    assert not state["moments"][:, 1].any()


def test_an_image_without_class_is_left_out_of_class_moments():
    reducer = ClassMoments(1, 1)
    reducer.add(make_batch(torch.tensor([[1.0], [2.0]]), torch.arange(2), torch.tensor([-1, 0])))
    assert reducer.state()["count"].tolist() == [1]
    assert reducer.state()["moments"][0, 0, 0].tolist() == [2.0, 0.0]


def test_class_moments_take_32_bytes_a_unit_and_class():
    reducer = ClassMoments(11, 13)
    reducer.add(make_batch(torch.randn(9, 11), torch.arange(9), torch.arange(9)))
    assert reducer.moments.nbytes == 32 * 11 * 13
    state = reducer.state()["moments"]
    assert state.nbytes == 32 * 11 * 13
    assert np.shares_memory(state, reducer.moments.numpy())


def test_merging_in_blocks_of_units_is_merging_at_once(monkeypatch):
    values = activations("signed")
    expected = merged(lambda: ClassMoments(UNITS, CLASSES), values).state()["moments"].copy()
    monkeypatch.setattr(moments, "BLOCK_BYTES", 2 * 32 * CLASSES)
    assert np.array_equal(merged(lambda: ClassMoments(UNITS, CLASSES), values).state()["moments"], expected)


def test_an_image_set_without_classes_has_no_class_moments():
    reducer = ClassMoments(3, 0)
    reducer.add(make_batch(torch.randn(4, 3), torch.arange(4), torch.full((4,), -1)))
    reducer.merge(reducer.state())
    assert reducer.state()["moments"].shape == (3, 0, 2, 2)
