"""Whether a unit's best images are told apart, and whether they are of the classes that its bars say.

Sweeps a model over image sets. In the layers behind a monotone activation function it counts the units whose nine best
images have equal scores, and those of which two images also have an equal value before the activation function. It runs
these images again and counts how many such pairs are truly equal: by max, if the input under the kernel is the same; by
mean, if the whole map is. In one layer it counts the units whose best image is of one of the five classes with the
longest bars, of all units and of every twelfth.

python -m benchmarks.ties [--model efficientnet_lite0] [--data demo ...] [--layer _conv_head] [--cache FOLDER]
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

import lurk
from benchmarks.tied_inputs import report_tied
from lurk.storage.index import Index
from lurk.storage.npy_file import Array

SAMPLED = 12
BARS = 5


def report_ties(index: Index, state: Array, behind: Array) -> None:
    """Print how many units have equal scores in their lists, active ones and those that are never active.

    Args:
        index: The index.
        state: State of each unit, (u,).
        behind: bool (u,), the units with lists behind a monotone activation function.
    """
    print(f"{sum(behind)} units behind a monotone activation function, {sum(behind & (state == 'dead'))} never active")
    print(f"{sum(state == 'constant')} constant units without a list")
    for kind in ("max", "mean"):
        score, before = (np.asarray(index.array(f"top_{kind}_{part}")) for part in ("score", "before"))
        tied = (score == score[:, :1]).all(1)
        pairs = ((score[:, 1:] == score[:, :-1]) & (before[:, 1:] == before[:, :-1])).any(1)
        for words, some in (("active", behind & (state != "dead")), ("never active", behind & (state == "dead"))):
            counts = f"all scores equal {sum(tied & some)}, two images not told apart {sum(pairs & some)}"
            print(f"{words}, by {kind}: {counts}, of {sum(some)}")


def has_best_image_of_a_long_bar(index: Index, layer: str, unit: int, kind: str) -> bool:
    """Whether the best image is of one of the five classes with the highest mean of the unit's maximum or mean."""
    record = index.unit(layer, unit)
    hits, means = (record.hits_max, record.class_max) if kind == "max" else (record.hits_mean, record.class_mean)
    bars = np.argsort(-np.nan_to_num(means, nan=-np.inf), kind="stable")[:BARS]
    return hits[0].label in bars


def report_classes(index: Index, layer: str) -> None:
    """Print in how many units of a layer the best image is of a class with a long bar."""
    states = index.states(layer)
    for kind in ("max", "mean"):
        for words, step in (("all", 1), ("every twelfth", SAMPLED)):
            active = [unit for unit in range(0, len(states), step) if states[unit] not in ("dead", "constant")]
            found = sum(has_best_image_of_a_long_bar(index, layer, unit, kind) for unit in active)
            counts = f"{found} of {len(active)} ({found / max(1, len(active)):.1%})"
            print(f"{layer}, by {kind}, {words}: best image of one of the five longest bars in {counts} active units")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="efficientnet_lite0")
    parser.add_argument("--data", nargs="+", default=["demo"])
    parser.add_argument("--layer", default="_conv_head")
    parser.add_argument("--cache", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cache = given.cache or Path(folder)
        model = lurk.load_model(given.model)
        for data in given.data:
            images = lurk.load_images(data, cache=cache)
            index = lurk.sweep(model, images, cache=cache)
            print(f"{given.model}, {data}: {index.manifest.done} images, {len(index.classes or ())} classes")
            state = np.array([state for layer in index.layers for state in index.states(layer.name)])
            behind = ~np.isnan(np.asarray(index.array("top_max_before"))[:, 0]) & (state != "constant")
            report_ties(index, state, behind)
            report_tied(model, images, index, behind & (state != "dead"))
            report_classes(index, next(layer.name for layer in index.layers if layer.name.endswith(given.layer)))


if __name__ == "__main__":
    main()
