import math

import numpy as np
import pytest

from lurk.storage.unit_state import Seen, are_constant, seen_units

SPREAD = (-1.0, 1.0)


@pytest.mark.parametrize(
    ("counts", "state"),
    [
        ((0, 0, 0), "ok"),
        ((1000, 0, 0), "dead"),
        ((1000, 999, 0), "always_on"),
        ((1000, 998, 498), "ok"),
        ((1000, 998, 499), "saturated"),
    ],
)
def test_states_at_their_limits_behind_a_rectifier(counts, state):
    assert Seen(*counts, *SPREAD).state(rectified=True) == state


@pytest.mark.parametrize(
    ("counts", "state"),
    [
        ((0, 0, 0), "ok"),
        ((1000, 0, 0), "ok"),
        ((1000, 1000, 0), "ok"),
        ((1000, 0, 499), "ok"),
        ((1000, 0, 500), "saturated"),
    ],
)
def test_a_signed_unit_is_neither_dead_nor_always_on(counts, state):
    assert Seen(*counts, *SPREAD).state(rectified=False) == state


@pytest.mark.parametrize("rectified", [True, False])
def test_a_unit_whose_values_are_all_equal_is_constant(rectified):
    assert Seen(1000, 0, 0, -0.25, -0.25).state(rectified=rectified) == "constant"
    assert Seen(1000, 1000, 1000, 7.0, 7.0).state(rectified=rectified) == "constant"


def test_one_value_alone_is_not_called_constant():
    assert Seen(1, 1, 0, 3.0, 3.0).state(rectified=False) == "ok"
    assert Seen(0, 0, 0, math.inf, -math.inf).state(rectified=False) == "ok"


def test_constant_units_of_arrays_are_those_seen_one_by_one():
    counts = np.array([[0, 0, 0], [1, 1, 0], [2, 0, 2], [2, 1, 0], [9, 9, 9]], np.int64)
    ranges = np.array([[0.0, 0.0], [3.0, 3.0], [0.0, 0.0], [-1.0, 2.0], [-math.inf, 1.0]])
    one_by_one = [seen.is_constant for seen in seen_units(counts.tolist(), ranges.tolist())]
    assert are_constant(counts, ranges).tolist() == one_by_one == [False, False, True, False, False]
