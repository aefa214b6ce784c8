"""What no sweep can do without, each part by itself: decoding the files and the forward pass."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.performance.comparison import OURS, Case, Comparison, Rounds, Work, seconds
from benchmarks.performance.files import index_of

FORWARD, PILLOW, TORCHVISION = "bare forward pass", "decoding, Pillow", "decoding, torchvision.io"


def prepare(side: str, options: Mapping[str, Any], folder: Path) -> Callable[[], Work]:
    import torch

    import lurk
    from benchmarks.performance.photographs import some_of

    images, weights = some_of(folder, options["images"]), options.get("weights", "random")
    if side == OURS:
        return lambda: Work(index_of(options["model"], images, weights=weights))
    if side == FORWARD:
        model = lurk.load_model(options["model"], weights=weights)
        batch = torch.randn(options["batch"], *model.input_shape)
        return lambda: Work(_forward(model.module.eval(), batch, options["images"] // options["batch"]))
    decode = _pillow if side == PILLOW else _torchvision
    return lambda: Work(_decode(decode, images))


def _forward(network: Any, batch: Any, times: int) -> int:
    import torch

    with torch.inference_mode():
        for _ in range(times):
            network(batch)
    return times * len(batch)


def _decode(decode: Callable[[Path], object], folder: Path) -> int:
    files = sorted(folder.glob("*/*"))
    for file in files:
        decode(file)
    return len(files)


def _pillow(file: Path) -> None:
    from PIL import Image

    with Image.open(file) as picture:
        picture.convert("RGB")


def _torchvision(file: Path) -> None:
    from torchvision.io import ImageReadMode, decode_image

    decode_image(str(file), ImageReadMode.RGB)


def table(results: Mapping[str, Rounds]) -> list[str]:
    """Milliseconds of CPU an image, and how much of the index's time the unavoidable parts are."""
    lines = [
        f"| network | {FORWARD} | {PILLOW} | {TORCHVISION} | finished index | forward + Pillow, share of the index |",
        "|---|---|---|---|---|---|",
    ]
    for name, rounds in results.items():
        times = {side: 1000 * seconds(rounds, side, "cpu_s") for side in COMPARISON.sides}
        share = (times[FORWARD] + times[PILLOW]) / times[OURS]
        cells = [f"{times[side]:.1f}" for side in (FORWARD, PILLOW, TORCHVISION, OURS)]
        lines.append(f"| {name} | {' | '.join(cells)} | {100 * share:.0f} % |")
    return lines


COMPARISON = Comparison(
    title="What no sweep can do without",
    text="Milliseconds of CPU time an image. The network must run and the files must be decoded, so the sum of both "
    "is the least that an index can cost. What is left is resizing, everything that is measured, the views, "
    "and writing. Pillow decodes every image here; torchvision's decoder is shown for comparison.",
    sides=(FORWARD, PILLOW, TORCHVISION, OURS),
    unit="image",
    cases=(
        Case("resnet18", {"model": "resnet18", "images": 96, "batch": 16}, rounds=3),
        Case(
            "efficientnet_lite0", {"model": "efficientnet_lite0", "weights": None, "images": 96, "batch": 16}, rounds=3
        ),
    ),
    quick=Case("squeezenet1_1", {"model": "squeezenet1_1", "images": 2, "batch": 2}, rounds=1, warms_up=False),
    prepare=prepare,
    table=table,
)
