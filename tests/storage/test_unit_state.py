import pytest

from lurk.storage.unit_state import unit_state


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
def test_states_at_their_limits(counts, state):
    assert unit_state(*counts) == state
