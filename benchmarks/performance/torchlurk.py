"""Beside torchlurk of 2020. Its packages hold no code, so its steps, as its published source has them, are done here.

For each image alone, layer by layer through `network.features`: maximum, its position and the mean of each channel of
each convolution. Then a loop in Python over the channels, twice: it adds to the sum of the class and keeps three best
images by maximum and by mean. For a new best image by maximum, the box that the position sees is computed. At the end
it can cut these boxes out: for each channel it reads the three files again and saves the crops.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.performance.comparison import OURS, Case, Comparison, Work
from benchmarks.performance.files import index_of

if TYPE_CHECKING:
    from torch import nn

STEPS = "torchlurk's steps"
BEST = 3
SIDE = 224
Box = tuple[tuple[int, int], tuple[int, int]]  # rows and columns, from and to


@dataclass
class Best:
    """The three best images of a channel, in any order, and the sums of its classes."""

    scores: list[float] = field(default_factory=lambda: [0.0] * BEST)
    paths: list[str] = field(default_factory=lambda: [""] * BEST)
    boxes: list[Box | None] = field(default_factory=lambda: [None] * BEST)
    sums: dict[str, float] = field(default_factory=dict)

    def place(self, score: float, path: str) -> int | None:
        """Where an image belongs; None if it is not among the best."""
        weakest = int(np.argmin(self.scores))
        return weakest if score > self.scores[weakest] and path not in self.paths else None

    def keep(self, at: int, score: float, path: str, box: Box | None = None) -> None:
        self.scores[at], self.paths[at], self.boxes[at] = score, path, box


def prepare(side: str, options: Mapping[str, Any], folder: Path) -> Callable[[], Work]:
    from benchmarks.performance.photographs import some_of

    name, images = options["model"], some_of(folder, options["images"])
    if side == OURS:
        return lambda: Work(index_of(name, images, layers="features" if options["same_layers"] else None))
    return lambda: Work(_steps(name, images, crops=options["crops"]))


def _steps(name: str, folder: Path, *, crops: bool) -> int:
    import torch
    from torch import nn
    from torch.utils.data import DataLoader
    from torchvision.datasets import ImageFolder

    import lurk
    from benchmarks.performance.photographs import transform

    layers = list(lurk.load_model(name, weights="random").module.features)
    images = ImageFolder(str(folder), transform())
    kept = {at: ([Best() for _ in range(one.out_channels)], [Best() for _ in range(one.out_channels)])
            for at, one in enumerate(layers) if isinstance(one, nn.Conv2d)}  # fmt: skip
    with torch.no_grad():
        for number, (image, label) in enumerate(DataLoader(images, batch_size=1)):
            values = image
            path, title = images.samples[number][0], images.classes[int(label)]
            for at, layer in enumerate(layers):
                values = layer(values)
                if at in kept:
                    highest, positions = values.flatten(2).max(2)
                    _add_maxima(
                        kept[at][0], (highest[0], positions[0]), values.shape[3], (path, title), layers[: at + 1]
                    )
                    _add_means(kept[at][1], values.flatten(2).mean(2)[0], path, title)
    if crops:
        with TemporaryDirectory() as below:
            _save_crops([best for maxima, _ in kept.values() for best in maxima], Path(below))
    return len(images)


def _add_maxima(
    channels: list[Best], found: tuple[Any, Any], width: int, image: tuple[str, str], layers: "Sequence[nn.Module]"
) -> None:
    path, title = image
    for best, score, position in zip(channels, found[0].numpy(), found[1], strict=True):
        best.sums[title] = best.sums.get(title, 0.0) + float(score)
        at = best.place(score, path)
        if at is not None:
            row, col = divmod(position.item(), width)
            best.keep(at, float(score), path, _box(row, col, layers))


def _add_means(channels: list[Best], means: Any, path: str, title: str) -> None:
    for best, score in zip(channels, means.numpy(), strict=True):
        best.sums[title] = best.sums.get(title, 0.0) + float(score)
        at = best.place(score, path)
        if at is not None:
            best.keep(at, float(score), path)


def _box(row: int, col: int, layers: "Sequence[nn.Module]") -> Box:
    """The pixels that a position sees, back through convolutions and poolings."""
    rows, cols = (row, row), (col, col)
    for layer in reversed(layers):
        if hasattr(layer, "kernel_size"):
            size, stride, padding = (
                one[0] if isinstance(one, tuple) else one for one in (layer.kernel_size, layer.stride, layer.padding)
            )
            rows, cols = (
                (max(low * stride - padding, 0), min(high * stride + size - padding, SIDE))
                for low, high in (rows, cols)
            )
    return rows, cols


def _save_crops(channels: list[Best], folder: Path) -> None:
    from PIL import Image
    from torchvision.transforms import ToPILImage, ToTensor

    for number, best in enumerate(channels):
        for path, box in zip(best.paths, best.boxes, strict=True):
            if box is not None:
                (top, bottom), (left, right) = box
                with Image.open(path) as picture:
                    crop = ToTensor()(picture)[:, top : bottom + 1, left : right + 1]
                if crop.numel():
                    ToPILImage()(crop).save(folder / f"{number}-{Path(path).name}")


def _case(name: str, images: int, goal: str, rounds: int, *, crops: bool = False, same_layers: bool = False) -> Case:
    label = f"{name}, {images} images" + (", crops" if crops else "") + (", its layers only" if same_layers else "")
    return Case(
        label,
        {"model": name, "images": images, "crops": crops, "same_layers": same_layers},
        goal,
        rounds,
        warms_up=not crops,
    )


COMPARISON = Comparison(
    title="A sweep beside torchlurk of 2020",
    text="The packages of torchlurk on PyPI, 0.1 to 0.1.3.1, hold a README and no code, so torchlurk itself cannot "
    "be installed and **was not run**. Compared is a program of ours that does the steps of its published "
    "source: one image after another, layer by layer, and a loop in Python over the channels of each "
    "convolution, for the three best images by maximum and by mean, the sums of the classes and, if asked for, "
    "a cut-out of each best image. Left out in its favour are the record for gradients, the prints, and "
    "writing all results every five seconds. Both sides start from files. Ours makes its whole index: all "
    "layers, nine best images, positions, distributions, views. In the row “its layers only” ours has only the "
    "layers that torchlurk knows. Only networks whose convolutions are in one sequence can be compared. The "
    "crops cost it the same whatever the number of images, so with more images they weigh less.",
    sides=(OURS, STEPS),
    unit="image",
    cases=(
        _case("alexnet", 200, "≥ 5", 3),
        _case("alexnet", 200, "", 3, same_layers=True),
        _case("vgg11", 32, "≥ 2", 3),
        _case("alexnet", 200, "≥ 10", 2, crops=True),
    ),
    quick=_case("alexnet", 2, "", 1, crops=True),
    prepare=prepare,
)
