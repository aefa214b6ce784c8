"""The lanes in which jobs wait: a job of a better lane runs before all jobs of the others."""

from enum import IntEnum


class Lane(IntEnum):
    """A lane; the smallest number runs first."""

    NOW = 0
    """What somebody looks at."""
    NEXT = 1
    """What somebody may look at next, the neighbours of a picture, and what takes long: maps of many forward passes."""
    SWEEP = 2
    """Sweeps and their shards."""
