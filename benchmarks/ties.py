"""Whether a unit's best images are told apart, and whether they are of the classes that its bars say.

Sweeps a model over an image set. In the layers behind a monotone activation function it counts the units whose nine
best images have equal scores, and those of which two images also have an equal value before the activation function. In
one layer it counts the units whose best image is of one of the five classes with the longest bars.

python -m benchmarks.ties [--model efficientnet_lite0] [--data demo] [--layer _conv_head] [--cache FOLDER]
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

import lurk
from lurk.storage.index import Index
from lurk.storage.npy_file import Array

SAMPLED = 107
BARS = 5


def lists(index: Index, kind: str) -> tuple[Array, Array]:
    """Scores of all lists by `max` or `mean`, and the values before the activation function, both (units, images)."""
    score, before = (np.asarray(index.array(f"top_{kind}_{part}")) for part in ("score", "before"))
    return score, before


def report_ties(index: Index) -> None:
    """Print how many units have equal scores in their lists, active ones and those that are never active."""
    state = np.array([state for layer in index.layers for state in index.states(layer.name)])
    behind = ~np.isnan(lists(index, "max")[1][:, 0]) & (state != "constant")
    print(f"{sum(behind)} units behind a monotone activation function, {sum(behind & (state == 'dead'))} never active")
    print(f"{sum(state == 'constant')} constant units without a list")
    for kind in ("max", "mean"):
        score, before = lists(index, kind)
        tied = (score == score[:, :1]).all(1)
        pairs = ((score[:, 1:] == score[:, :-1]) & (before[:, 1:] == before[:, :-1])).any(1)
        for words, some in (("active", behind & (state != "dead")), ("never active", behind & (state == "dead"))):
            counts = f"all scores equal {sum(tied & some)}, two images not told apart {sum(pairs & some)}"
            print(f"{words}, by {kind}: {counts}, of {sum(some)}")


def has_best_image_of_a_long_bar(index: Index, layer: str, unit: int) -> bool:
    """Whether the best image is of one of the five classes with the highest mean of the unit's maximum."""
    record = index.unit(layer, unit)
    bars = np.argsort(-np.nan_to_num(record.class_max, nan=-np.inf), kind="stable")[:BARS]
    return record.hits_max[0].label in bars


def report_classes(index: Index, layer: str) -> None:
    """Print in how many units of a layer the best image is of a class with a long bar."""
    active = [unit for unit, state in enumerate(index.states(layer)) if state not in ("dead", "constant")]
    found = [has_best_image_of_a_long_bar(index, layer, unit) for unit in active]
    sampled = found[:: max(1, len(found) // SAMPLED)][:SAMPLED]
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
