import math

import pytest

from lurk.storage.unit_state import Seen

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
