"""What a sweep adds to the forward pass: the same batches, forward alone and with everything that is measured."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.performance.comparison import Case, Comparison, Work

BARE, CHANNELS_LAST, SWEEP = "bare forward pass", "bare, channels-last", "sweep"


def prepare(side: str, options: Mapping[str, Any], _folder: Path) -> Callable[[], Work]:
    import torch

    import lurk
    from benchmarks.sweep import bare_and_swept

    name, weights, images = options["model"], options.get("weights", "random"), options["images"]
    memory_format = torch.channels_last if side == CHANNELS_LAST else torch.contiguous_format
    bare, swept = bare_and_swept(name, weights, images, options["batch"], 40, memory_format)
    run = swept if side == SWEEP else bare
    layers = lurk.load_model(name, weights=weights).layers
    values = sum(math.prod(layer.shape) for layer in layers)

    def work() -> Work:
        run()
        return Work(images, lambda: {"values": values, "layers": len(layers)})

    return work


COMPARISON = Comparison(
    title="What a sweep adds to the forward pass",
    text="The same random images in the same batches: once through the network alone, in PyTorch's inference mode, "
    "and once with everything that a sweep measures of every unit of every layer: maximum and its position, "
    "mean, deviation, shares above zero and at the bound, histogram, the top lists and the sums of 40 classes. "
    "Images are not read here. The bare pass is in row-major order, as people run it. A sweep runs the network on "
    "channels-last batches where it gives the same in that order, which is most of what it gains; so the bare pass "
    "is also timed with weights and batches in that order.",
    sides=(BARE, CHANNELS_LAST, SWEEP),
    unit="image",
    cases=(
        Case("resnet18", {"model": "resnet18", "images": 64, "batch": 16}, "≤ 1.10, at least ≤ 1.20"),
        Case(
            "efficientnet_lite0",
            {"model": "efficientnet_lite0", "weights": None, "images": 64, "batch": 16},
            "≤ 1.20, at least ≤ 1.40",
        ),
        Case("resnet50", {"model": "resnet50", "images": 32, "batch": 16}, rounds=3),
        Case("vgg16", {"model": "vgg16", "images": 16, "batch": 8}, "≤ 1.05, at least ≤ 1.15", rounds=4),
    ),
    quick=Case("squeezenet1_1", {"model": "squeezenet1_1", "images": 2, "batch": 2}, rounds=1),
    prepare=prepare,
)
