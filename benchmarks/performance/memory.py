"""How fast memory is, which bounds what one read of every map of a network costs."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.performance.comparison import Case, Comparison, Rounds, Work, seconds

ONE, ALL = "one thread", "all threads"
READ, COPY = "read", "copy"


def prepare(side: str, options: Mapping[str, Any], _folder: Path) -> Callable[[], Work]:
    import torch

    if side == ONE:
        torch.set_num_threads(1)
    source = torch.ones(options["megabytes"] * 250_000)  # float32
    target = torch.empty_like(source) if options["what"] == COPY else source

    def work() -> Work:
        if options["what"] == COPY:
            target.copy_(source)
        else:
            source.sum()
        return Work(options["megabytes"] / 1000 * (2 if options["what"] == COPY else 1))

    return work


def table(results: Mapping[str, Rounds]) -> list[str]:
    """GB a second."""
    lines = [f"| | {ONE}, GB/s | {ALL}, GB/s |", "|---|---|---|"]
    for name, rounds in results.items():
        lines.append(f"| {name} | {1 / seconds(rounds, ONE):.1f} | {1 / seconds(rounds, ALL):.1f} |")
    return lines


COMPARISON = Comparison(
    title="How fast memory is",
    text="torch reads (sums up) and copies an array that is larger than any cache; a copy counts the bytes read and "
    "those written.",
    sides=(ONE, ALL),
    unit="GB",
    cases=tuple(Case(what, {"what": what, "megabytes": 2000}, rounds=5) for what in (READ, COPY)),
    quick=Case(READ, {"what": READ, "megabytes": 8}, rounds=1),
    prepare=prepare,
    table=table,
)
