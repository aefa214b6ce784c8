"""Histogram and shares against the values themselves."""

import numpy as np
import pytest

from lurk.storage.histogram import histogram, share_below
from tests.conftest import make_statistics


@pytest.mark.parametrize("unit", [0, 1, 2])
def test_the_share_below_a_value_is_that_of_the_values_themselves(toy_index, unit):
    values = make_statistics()[1].maximum[:, unit].numpy()
    for value in (-5.0, -0.3, 0.0, 0.4, 5.9, 7.0):
        assert share_below(toy_index, "conv", unit, value) == pytest.approx(np.mean(values < value), abs=0.17)
    assert share_below(toy_index, "conv", unit, float(values.max()) + 1e-3) == 1.0


@pytest.mark.parametrize("unit", [0, 1, 2])
def test_a_value_that_a_real_image_reaches_is_not_above_all(toy_index, unit, monkeypatch):
    best = float(make_statistics()[1].maximum[:, unit].max())
    assert share_below(toy_index, "conv", unit, best) < 1.0
    edges, counts = toy_index.sketch("conv", unit)
    lowest = np.flatnonzero(counts)[0]
    sampled = np.where(np.arange(len(counts)) == lowest, counts, 0.0)  # as if higher values were not drawn
    monkeypatch.setattr(type(toy_index), "sketch", lambda *_: (edges, sampled))
    assert share_below(toy_index, "conv", unit, best) < 1.0


def test_the_bars_sum_to_1_and_span_all_values(toy_index):
    edges, shares = histogram(toy_index, "conv", 0)
    values = make_statistics()[1].maximum[:, 0].numpy()
    assert shares.sum() == pytest.approx(1)
    assert edges[0] <= values.min()
    assert edges[-1] >= values.max() - 1e-6
