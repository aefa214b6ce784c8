"""The maps of a unit's nine best images in one call, beside the map of one image."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.performance.comparison import Case, Comparison, Work

ONE, NINE = "one map", "nine maps"
LAYER = "_blocks.9._expand_conv"


def prepare(side: str, options: Mapping[str, Any], folder: Path) -> Callable[[], Work]:
    import torch

    import lurk
    from benchmarks.performance.photographs import some_of
    from lurk.worker.memory import keep_freed_memory

    keep_freed_memory()
    model = lurk.load_model("efficientnet_lite0")
    read = lurk.load_images(some_of(folder, 9))
    images = torch.stack([model.preprocess(read.read(number)) for number in range(len(read))])
    images = images[torch.arange(9) % len(read)]  # float32 (9, 3, 224, 224)

    def work() -> Work:
        lurk.attribute(model, images if side == NINE else images[0], LAYER, 0, method=options["method"])
        return Work(1)

    return work


def _case(method: str, goal: str = "", rounds: int = 5) -> Case:
    return Case(method.replace("_", " "), {"method": method}, goal, rounds)


COMPARISON = Comparison(
    title="Nine maps of a unit",
    text=f"EfficientNet-Lite0 with its real weights, a unit of `{LAYER}` at its maximum, each method with its "
    "defaults. The page asks for the maps of a unit's nine best images together.",
    sides=(ONE, NINE),
    unit="call",
    cases=(
        _case("gradient", "≤ 2.5"),
        _case("deconvnet", "≤ 2.5"),
        _case("guided_backprop", "≤ 2.5"),
        _case("grad_cam", "≤ 2.5"),
        _case("layer_cam", "≤ 2.5"),
        _case("lrp", "≤ 2.5"),
        _case("occlusion", rounds=1),
    ),
    quick=_case("gradient", rounds=1),
    prepare=prepare,
)
