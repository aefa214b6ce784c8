"""What every reducer promises, whatever it measures."""

import numpy as np
import pytest
import torch

from lurk.sweeps.moments import ClassMoments, Distribution
from lurk.sweeps.sketch import Sketch
from lurk.sweeps.statistics import Statistics
from lurk.sweeps.top_k import TopK
from tests.sweeps.batches import make_batch

UNITS, CLASSES = 25, 6
REDUCERS = {
    "top_k": lambda: TopK(UNITS, 9, "mean", "before_mean"),
    "classes": lambda: ClassMoments(UNITS, CLASSES),
    "distribution": lambda: Distribution(UNITS),
    "sketch": lambda: Sketch(UNITS),
    "statistics": lambda: Statistics(UNITS, 9, CLASSES),
}
every_reducer = pytest.mark.parametrize("make", REDUCERS.values(), ids=REDUCERS)


def image_set(n=200):
    """Values of magnitudes from 1e-8 to 1e8, images in any order, the labels of six classes."""
    generator = torch.Generator().manual_seed(5)
    scores = torch.randn(n, UNITS, generator=generator) * 10 ** torch.linspace(-8, 8, UNITS)
    return scores, torch.randperm(n, generator=generator), torch.randint(0, CLASSES, (n,), generator=generator)


def bounded_batch(values, images, labels):
    """A batch in which half of the units end in a function with the bounds 0 and 1, so that many scores are tied."""
    before, scores = values.clone(), values.clone()
    scores[:, ::2].clamp_(0, 1)
    before[:, 1::2] = torch.nan
    return make_batch(scores, images, labels, before=before)


def fed(make, scores, images, labels, rows):
    """A reducer that has seen some rows of an image set in batches of 8, the last one shorter."""
    reducer = make()
    for part in rows.split(8):
        reducer.add(bounded_batch(scores[part], images[part], labels[part]))
    return reducer


def copied(reducer):
    return {name: array.copy() for name, array in reducer.state().items()}


def assert_equal(state, expected):
    assert state.keys() == expected.keys()
    for name, array in expected.items():
        assert np.array_equal(state[name], array, equal_nan=array.dtype.kind == "f"), name


@every_reducer
def test_any_split_and_merge_order_gives_the_same_answer(make):
    given = image_set()
    expected = fed(make, *given, torch.arange(200)).state()
    shards = [fed(make, *given, rows).state() for rows in torch.arange(200).split(40)]
    for order in ([0, 1, 2, 3, 4], [3, 0, 4, 2, 1], [4, 3, 2, 1, 0]):
        merged = make()
        for place in order:
            merged.merge(shards[place])
        for name, array in merged.state().items():
            if name.endswith("moments"):
                np.testing.assert_allclose(array, expected[name], rtol=1e-9)
            else:
                assert np.array_equal(array, expected[name], equal_nan=array.dtype.kind == "f"), name


@every_reducer
def test_a_stored_state_goes_on_as_if_never_stored(make):
    given = image_set()
    undisturbed, resumed = fed(make, *given, torch.arange(96)), make()
    resumed.merge(copied(undisturbed))
    assert_equal(resumed.state(), undisturbed.state())
    rest = torch.arange(96, 200)
    for reducer in (undisturbed, resumed):
        reducer.add(bounded_batch(given[0][rest], given[1][rest], given[2][rest]))
    assert_equal(resumed.state(), undisturbed.state())


@every_reducer
def test_merging_leaves_the_other_as_it_was(make):
    given = image_set()
    other = fed(make, *given, torch.arange(100))
    before = copied(other)
    fed(make, *given, torch.arange(100, 200)).merge(other.state())
    assert_equal(other.state(), before)


@every_reducer
def test_an_empty_reducer_adds_nothing(make):
    reducer = fed(make, *image_set(), torch.arange(200))
    before = copied(reducer)
    reducer.merge(make().state())
    assert_equal(reducer.state(), before)
