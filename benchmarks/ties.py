"""Whether a unit's best images are told apart, and whether they are of the classes that its bars say.

Sweeps a model over an image set. In the layers behind a monotone activation function it counts the units whose nine
best images have equal scores, and those of which two images also have an equal value before the activation function. In
one layer it counts the units whose best image is of one of the five classes with the longest bars.

python -m benchmarks.ties [--model efficientnet_lite0] [--data demo] [--layer _conv_head] [--cache FOLDER]
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import lurk
from lurk.records import Hit, UnitRecord
from lurk.storage.index import Index

SAMPLED = 107
BARS = 5


def equal_scores(hits: Sequence[Hit]) -> bool:
    """Whether all hits have the same score."""
    return len({hit.score for hit in hits}) == 1


def is_undecided(hits: Sequence[Hit]) -> bool:
    """Whether two hits have the same score and the same value before the activation function."""
    return len({(hit.score, hit.before) for hit in hits}) < len(hits)


def is_of_a_long_bar(record: UnitRecord) -> bool:
    """Whether the best image is of one of the five classes with the highest mean of the unit's maximum."""
    bars = np.argsort(-np.nan_to_num(record.class_max, nan=-np.inf), kind="stable")[:BARS]
    return record.hits_max[0].label in bars


def report_ties(index: Index) -> None:
    """Print how many units have equal scores in their lists, active ones and those that are never active."""
    layers = {layer.name for layer in index.layers if layer.activation}
    records = [index.unit(layer.name, n) for layer in index.layers if layer.name in layers for n in range(layer.units)]
    behind = [record for record in records if record.hits_max and record.hits_max[0].before is not None]
    never = [record for record in behind if record.state == "dead"]
    active = [record for record in behind if record.state != "dead"]
    constant = sum(record.state == "constant" for record in records)
    print(f"{len(behind)} units behind a monotone activation function, {len(never)} of them never active")
    print(f"{constant} constant units without a list")
    for words, some in (("active", active), ("never active", never)):
        for kind in ("max", "mean"):
            lists = [record.hits_max if kind == "max" else record.hits_mean for record in some]
            print(
                f"{words}, by {kind}: all scores equal {sum(map(equal_scores, lists))}, "
                f"two hits not told apart {sum(map(is_undecided, lists))}, of {len(lists)}"
            )


def report_classes(index: Index, layer: str) -> None:
    """Print in how many units of a layer the best image is of a class with a long bar."""
    records = [index.unit(layer, unit) for unit in range(index.layer(layer).units)]
    found = [is_of_a_long_bar(record) for record in records if record.hits_max and record.state != "dead"]
    step = max(1, len(found) // SAMPLED)
    sampled = found[::step][:SAMPLED]
    for words, some in (("sampled", sampled), ("all", found)):
        share = sum(some) / max(1, len(some))
        counts = f"{sum(some)} of {len(some)} ({share:.1%})"
        print(f"{layer}, {words} active units whose best image is of one of the five longest bars: {counts}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="efficientnet_lite0")
    parser.add_argument("--data", default="demo")
    parser.add_argument("--layer", default="_conv_head")
    parser.add_argument("--cache", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        index = lurk.sweep(given.model, given.data, cache=given.cache or Path(folder))
        print(f"{given.model}, {given.data}: {index.manifest.done} images, {len(index.classes or ())} classes")
        report_ties(index)
        report_classes(index, next(layer.name for layer in index.layers if layer.name.endswith(given.layer)))


if __name__ == "__main__":
    main()
