"""When a unit counts as constant, dead, always on or saturated."""

from collections.abc import Sequence
from dataclasses import dataclass

from lurk.records import UnitState
from lurk.storage.npy_file import Array

ALWAYS_ON = 0.999
SATURATED = 0.5


@dataclass(frozen=True)
class Seen:
    """What was seen of a unit at all positions of all images.

    Args:
        count: Number of positions.
        positive: How many were above 0.
        bounded: How many were at a bound of the activation function.
        lowest: Lowest value that entered the monotone activation function, or without one of the unit itself; -inf
            unless it was the same at all positions of each image.
        highest: Highest such value.
    """

    count: int
    positive: int
    bounded: int
    lowest: float
    highest: float

    @property
    def is_constant(self) -> bool:
        """Whether all values were equal; one alone says nothing."""
        return self.count > 1 and self.lowest == self.highest

    def state(self, *, rectified: bool) -> UnitState:
        """The state of the unit; `rectified` says whether a rectifier gives its value."""
        if self.is_constant:
            return "constant"
        if not self.count:
            return "ok"
        if rectified and not self.positive:
            return "dead"
        if rectified and self.positive >= ALWAYS_ON * self.count:
            return "always_on"
        active = self.positive if rectified else self.count
        return "saturated" if self.bounded >= SATURATED * active else "ok"


def seen_units(counts: Sequence[Sequence[int]], ranges: Sequence[Sequence[float]]) -> list[Seen]:
    """What was seen of some units, from rows (count, positive, bounded) and (lowest, highest)."""
    return [Seen(*numbers, *ends) for numbers, ends in zip(counts, ranges, strict=True)]


def are_constant(counts: Array, ranges: Array) -> Array:
    """Which units are constant, bool (u,), from the same rows as arrays (u, 3) and (u, 2)."""
    constant: Array = (counts[:, 0] > 1) & (ranges[:, 0] == ranges[:, 1])
    return constant
