"""When a unit counts as dead, always on or saturated."""

from lurk.records import UnitState

ALWAYS_ON = 0.999
SATURATED = 0.5


def unit_state(count: int, positive: int, bounded: int) -> UnitState:
    """State of a unit from its numbers of positions: all, above 0, at the bound of the activation function."""
    if not count:
        return "ok"
    if not positive:
        return "dead"
    if positive >= ALWAYS_ON * count:
        return "always_on"
    return "saturated" if bounded >= SATURATED * positive else "ok"
