"""What a comparison is: sides that do the same work in turn, each in a process of its own."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OURS = "Torchlurk"


@dataclass(frozen=True)
class Work:
    """What a side did in its turn.

    Args:
        items: How many images, pictures or maps it dealt with.
        more: Finds further numbers after the clock has stopped.
    """

    items: float
    more: Callable[[], dict[str, float]] = dict


@dataclass(frozen=True)
class Turn:
    """A turn as measured: seconds on the clock and of the CPU, threads included."""

    wall_s: float
    cpu_s: float
    items: float
    more: dict[str, float]


Prepare = Callable[[str, Mapping[str, Any], Path], Callable[[], Work]]
Rounds = Sequence[Mapping[str, Turn]]


@dataclass(frozen=True)
class Case:
    """A row of the table.

    Args:
        name: What the row is called.
        options: What `prepare` is given.
        goal: What the ratio should be, in words; empty if there is no goal.
        rounds: How often the sides take turns.
        warms_up: Whether they do so once more before, unmeasured; else `prepare` must have warmed up.
    """

    name: str
    options: Mapping[str, Any]
    goal: str = ""
    rounds: int = 5
    warms_up: bool = True


@dataclass(frozen=True)
class Comparison:
    """A table of the page.

    Args:
        title: Heading.
        text: What is compared and how, Markdown.
        sides: Names of the sides; each is compared with the first.
        unit: What the times are for, such as `image`.
        cases: The rows.
        quick: A row that is measured in seconds, for a test.
        prepare: Called in the process of a side with the side, the row's options and a folder of images, a folder of
            each class; returns what the side does in its turn.
        peers: The group of pins of each side that has an environment of its own.
        table: Makes the lines of the table from the rounds of each row; the times and ratios by default.
    """

    title: str
    text: str
    sides: tuple[str, ...]
    unit: str
    cases: Sequence[Case]
    quick: Case
    prepare: Prepare
    peers: Mapping[str, str] = field(default_factory=dict)
    table: "Callable[[Mapping[str, Rounds]], list[str]] | None" = None


def seconds(rounds: Rounds, side: str, clock: str = "wall_s") -> float:
    """Seconds an item: the median over the rounds."""
    return statistics.median(getattr(each[side], clock) / each[side].items for each in rounds)


def ratios(rounds: Rounds, side: str, first: str, clock: str = "wall_s") -> list[float]:
    """The time an item of a side, in times of the first side's, in each round."""
    return [
        (getattr(each[side], clock) / each[side].items) / (getattr(each[first], clock) / each[first].items)
        for each in rounds
    ]


def more(rounds: Rounds, side: str, name: str) -> float:
    """A further number of a side: the median over the rounds."""
    return statistics.median(each[side].more[name] for each in rounds)
