"""Measures this package beside its peers and beside what the machine can do, and writes docs/performance.md.

python -m benchmarks.performance [--data demo] [--only sweep files ...] [--quick] [--page]
"""

import argparse
import datetime
import tempfile
import time
from pathlib import Path

from benchmarks.performance.comparison import Case, Comparison
from benchmarks.performance.environments import FOLDER
from benchmarks.performance.machine import facts
from benchmarks.performance.page import COMPARISONS, Measured, read_results, table, write_results
from benchmarks.performance.photographs import link_photographs
from benchmarks.performance.sides import measure, started

IMAGES = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="demo", help="what --data of the program takes; its JPEG files are used")
    parser.add_argument("--only", nargs="+", choices=list(COMPARISONS), default=list(COMPARISONS), help="these tables")
    parser.add_argument("--quick", action="store_true", help="a small row of each table, printed and not stored")
    parser.add_argument(
        "--page", action="store_true", help="write the page from the stored results and measure nothing"
    )
    given = parser.parse_args()
    results = read_results()
    if given.page:
        write_results(results)
        return
    with tempfile.TemporaryDirectory() as held:
        folder = Path(held) / "all"
        about = link_photographs(given.data, IMAGES, folder, FOLDER / "cache")
        for name in given.only:
            comparison = COMPARISONS[name]
            cases = [comparison.quick] if given.quick else list(comparison.cases)
            results[name] = compared(name, comparison, cases, folder, about)
            print(
                "\n".join([comparison.title, *table(comparison, results[name].rows), results[name].facts]), flush=True
            )
            if not given.quick:
                write_results(results)


def compared(name: str, comparison: Comparison, cases: list[Case], folder: Path, about: str) -> Measured:
    """Measure the rows of a comparison."""
    rows, threads, began = {}, 0, time.perf_counter()
    with started(f"benchmarks.performance.{name}", comparison, folder) as sides:
        for case in cases:
            rows[case.name], threads = measure(sides, case)
    count = sum(1 for _ in folder.glob("*/*"))
    today = datetime.datetime.now(datetime.UTC).date()
    took = f"measured on {today} in {time.perf_counter() - began:.0f} s"
    return Measured(rows, f"{facts()}; {threads} threads; at most {count} {about}; {took}.")


if __name__ == "__main__":
    main()
