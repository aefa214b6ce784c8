"""A comparison of two sides that do next to nothing, for the tests of the benchmark of performance."""

from benchmarks.performance.comparison import Case, Comparison, Work


def prepare(side, options, folder):
    if options.get("fails"):
        raise ValueError("no such thing")
    files = len(list(folder.iterdir()))
    return lambda: Work(options["items"] * (2 if side == "twice" else 1), lambda: {"files": files})


ROW = Case("row", {"items": 3}, "≥ 2", 2)
COMPARISON = Comparison("Toy", "Text.", ("once", "twice"), "image", (ROW,), ROW, prepare)
