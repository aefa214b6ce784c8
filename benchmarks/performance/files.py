"""From image files to a finished index, beside the plain loop that people write."""

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.performance.comparison import OURS, Case, Comparison, Work

LOOP = "plain loop"


def prepare(side: str, options: Mapping[str, Any], folder: Path) -> Callable[[], Work]:
    from benchmarks.performance.photographs import some_of

    images, weights = some_of(folder, options["images"]), options.get("weights", "random")
    run = _loop if side == LOOP else index_of
    return lambda: Work(run(options["model"], images, weights=weights))


def index_of(name: str, folder: Path, *, weights: str | None = "random", layers: str | None = None) -> int:
    """Sweep a folder as the command does it; return the number of images."""
    import lurk
    from lurk.worker.memory import keep_freed_memory

    keep_freed_memory()
    model = lurk.load_model(name, weights=weights)
    with TemporaryDirectory() as cache:
        images = lurk.load_images(folder, cache=cache)
        lurk.sweep(model, images, layers=layers, cache=cache)
    return len(images)


def _loop(name: str, folder: Path, *, weights: str | None) -> int:
    import torch

    import lurk
    from benchmarks.performance.photographs import loader

    network = lurk.load_model(name, weights=weights).module.eval()
    done = 0
    with torch.no_grad():
        for batch, _ in loader(folder, 32):
            network(batch)
            done += len(batch)
    return done


COMPARISON = Comparison(
    title="From image files to a finished index",
    text="Everything counts: loading the network, listing the folder, reading, decoding and preprocessing, the "
    "forward pass, all statistics, the small views of the best images, checkpoints, and writing the index. "
    "Beside it stands the loop that people write to run a network over a folder: `ImageFolder`, `DataLoader` "
    "with batches of 32 and its other defaults, and the forward pass in `torch.no_grad()`; it keeps nothing.",
    sides=(LOOP, OURS),
    unit="image",
    cases=(
        Case("resnet18", {"model": "resnet18", "images": 200}, "≤ 0.7, at least ≤ 0.9", rounds=3),
        Case(
            "efficientnet_lite0",
            {"model": "efficientnet_lite0", "weights": None, "images": 200},
            "≤ 0.7, at least ≤ 0.9",
            rounds=3,
        ),
    ),
    quick=Case("squeezenet1_1", {"model": "squeezenet1_1", "images": 4}, rounds=1, warms_up=False),
    prepare=prepare,
)
