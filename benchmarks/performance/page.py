"""Writes docs/performance.md from the stored results; every number on the page comes from there."""

import json
import statistics
import textwrap
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from benchmarks.performance import ascent, files, limits, maps, memory, nine_maps, sweep, torchlurk, zennit_crp
from benchmarks.performance.comparison import Comparison, Rounds, Turn, more, ratios, seconds
from benchmarks.performance.environments import ROOT

PAGE = ROOT / "docs" / "performance.md"
RESULTS = ROOT / "benchmarks" / "performance" / "results.json"
COMPARISONS: dict[str, Comparison] = {
    module.__name__.rpartition(".")[2]: module.COMPARISON
    for module in (sweep, files, torchlurk, zennit_crp, ascent, maps, nine_maps, limits, memory)
}
H100_BYTES_A_SECOND = 3.35e12  # of the card with SXM, as its maker states it
READ_OF_EAGER, READ_OF_COMPILED = 0.17, 0.50  # of a ResNet-50 pass on one H100: one more read of every map, measured

BEGINNING = """# How fast it is

A program writes every table on this page. It measures the sides of a comparison on the same machine in the same run:

```sh
make bench
python -m benchmarks.performance --data path/to/photographs
python -m benchmarks.performance --only sweep files
```

The first line also runs the other benchmarks. The second measures all tables below and writes this page anew; without
`--data` it takes the photographs of the demo set. The third measures some tables and leaves the others. Below each
table stands how long it took. Let nothing else run meanwhile.

**How it is measured.** Each side runs in a process of its own. A peer (torch-lucent, zennit-crp, captum) is installed
into a folder of its own below `.bench`, with the versions in `requirements-bench.txt`, and shares torch with the
others. The sides have the same network, images and number of threads, and take turns: while one works the others wait.
A first round warms up and is not counted, but where a round takes long. Times are medians over the rounds, in
milliseconds on the clock. A ratio is formed in each round, and the table gives the median. In brackets stands the ratio
of CPU time, the sum over all threads, which depends less on what else runs. The aim is what the project wants to reach.

**Weights.** torchvision's weights could not be downloaded where this was measured, so its networks have random weights.
Times hardly depend on them; the images that are found do.
"""
NOT_YET = "Not measured yet."


@dataclass(frozen=True)
class Measured:
    """The results of a comparison.

    Args:
        rows: The rounds of each row.
        facts: Machine, threads, images and day, in words.
    """

    rows: Mapping[str, Rounds]
    facts: str


def read_results() -> dict[str, Measured]:
    """The stored results of each comparison that has been measured."""
    stored = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    return {
        name: Measured(
            {
                row: [{side: Turn(**turn) for side, turn in each.items()} for each in rounds]
                for row, rounds in found["rows"].items()
            },
            found["facts"],
        )
        for name, found in stored.items()
    }


def write_results(results: Mapping[str, Measured]) -> None:
    """Store the results and write the page."""
    stored = {
        name: {
            "facts": found.facts,
            "rows": {
                row: [{side: _rounded(asdict(turn)) for side, turn in each.items()} for each in rounds]
                for row, rounds in found.rows.items()
            },
        }
        for name, found in results.items()
    }
    RESULTS.write_text(json.dumps(stored, indent=1, ensure_ascii=False) + "\n")
    PAGE.write_text(page(read_results()))


def page(results: Mapping[str, Measured]) -> str:
    """The page, Markdown."""
    sections = [_section(comparison, results.get(name)) for name, comparison in COMPARISONS.items()]
    return "\n".join([BEGINNING, *sections, _one_read(results), _gpu(results)])


def table(comparison: Comparison, rows: Mapping[str, Rounds]) -> list[str]:
    """The lines of a comparison's table."""
    if comparison.table is not None:
        return comparison.table(rows)
    first, *others = comparison.sides
    goals = {case.name: case.goal for case in comparison.cases}
    shows_goals, extra = any(goals.values()), _reached(rows)
    heads = ["", *(f"{side}, ms" for side in comparison.sides), *(f"{side} / {first}" for side in others)]
    heads += [f"reached, {side}" for side in comparison.sides if extra] + ["aim"] * shows_goals
    lines = [f"| {' | '.join(heads)} |".replace("|  |", "| |"), "|" + "---|" * len(heads)]
    for name, rounds in rows.items():
        cells = [name, *(_milliseconds(seconds(rounds, side)) for side in comparison.sides)]
        cells += [_ratio(rounds, side, first) for side in others]
        cells += [f"{more(rounds, side, 'reached'):.2f}" for side in comparison.sides if extra]
        cells += [goals.get(name, "")] * shows_goals
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _section(comparison: Comparison, found: Measured | None) -> str:
    lines = [f"## {comparison.title}", "", wrapped(comparison.text), ""]
    if found is None:
        return "\n".join([*lines, NOT_YET, ""])
    unit = "" if comparison.table else f"Milliseconds for each {comparison.unit}. "
    return "\n".join([*lines, *table(comparison, found.rows), "", wrapped(f"{unit}{found.facts}"), ""])


def _rounded(turn: dict[str, object]) -> dict[str, object]:
    return {name: float(f"{value:.5g}") if isinstance(value, float) else value for name, value in turn.items()}


def _reached(rows: Mapping[str, Rounds]) -> bool:
    return all("reached" in turn.more for rounds in rows.values() for each in rounds for turn in each.values())


def _milliseconds(value_s: float) -> str:
    value = 1000 * value_s
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _ratio(rounds: Rounds, side: str, first: str) -> str:
    wall, cpu = (statistics.median(ratios(rounds, side, first, clock)) for clock in ("wall_s", "cpu_s"))
    return f"{wall:.2f} ({cpu:.2f})"


def _one_read(results: Mapping[str, Measured]) -> str:
    """What one read of every map must cost, beside what a sweep adds."""
    text = (
        "A sweep has to look at every value of every map at least once. The time of one read follows from the size of "
        "the maps and the speed of memory with all threads, both measured here. A sweep may take less where a map is "
        "still in the cache when it is read, and takes more for what it does with the values."
    )
    lines = ["## What one read of every map must cost", "", wrapped(text), ""]
    if "sweep" not in results or "memory" not in results:
        return "\n".join([*lines, NOT_YET, ""])
    speed = 1 / seconds(results["memory"].rows[memory.READ], memory.ALL)
    lines += [
        "| network | values an image, millions | MB an image | one read, ms | what a sweep adds, ms | reads that it "
        "is worth |",
        "|---|---|---|---|---|---|",
    ]
    for name, rounds in results["sweep"].rows.items():
        values = more(rounds, sweep.SWEEP, "values")
        least = 1000 * values * 4 / (speed * 1e9)
        added = 1000 * (seconds(rounds, sweep.SWEEP) - seconds(rounds, sweep.BARE))
        lines.append(
            f"| {name} | {values / 1e6:.1f} | {values * 4e-6:.1f} | {least:.2f} | {added:.2f} | {added / least:.1f} |"
        )
    return "\n".join([*lines, ""])


def _gpu(results: Mapping[str, Measured]) -> str:
    """What is to be expected of a GPU, and how that was found."""
    rounds = results["sweep"].rows.get("resnet50") if "sweep" in results else None
    size = ""
    if rounds is not None:
        values = more(rounds, sweep.SWEEP, "values")
        microseconds = 1e6 * values * 4 / H100_BYTES_A_SECOND
        size = (
            f"The maps of ResNet-50 that a sweep reads are {values / 1e6:.1f} million values, {values * 4e-6:.0f} MB "
            f"an image in float32. An H100 reads {H100_BYTES_A_SECOND / 1e12:.2f} TB a second, so one read takes at "
            f"least {microseconds:.0f} µs an image. "
        )
    text = (
        "**Not measured: this is a prediction.** On one H100, one more read of every map of ResNet-50 was measured: it "
        f"adds {100 * READ_OF_EAGER:.0f} % to a forward pass in eager mode and {100 * READ_OF_COMPILED:.0f} % to a "
        f"compiled one. {size}A sweep reads each map once, so we expect it to take about {1 + READ_OF_EAGER:.2f} times "
        f"the eager forward pass and {1 + READ_OF_COMPILED:.2f} times the compiled one, and a little more for the top "
        "lists and the sums of classes. All else depends on whether the images arrive fast enough. The program of this "
        "page measures on CPUs only; `python -m lurk sweep` prints the images a second of your GPU."
    )
    return "\n".join(["## On a GPU", "", wrapped(text), ""])


def wrapped(text: str) -> str:
    """A paragraph in lines of at most 120 characters."""
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)
