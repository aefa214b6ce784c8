"""What two images hold that a unit's list does not tell apart: the same input under the kernel, or the same whole map.

Axes: u units of all layers side by side, k hits.
"""

from collections import Counter, defaultdict
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from lurk.graph.hooks import tapped
from lurk.images.image_set import ImageSet
from lurk.models.model import Model
from lurk.storage.index import Index
from lurk.storage.npy_file import Array

Hit = tuple[int, int]  # unit of all layers side by side, image


class Convolutions(TorchFunctionMode):
    """Keeps what each convolution of a model was given last."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        parts = module.named_modules()
        self._names = {id(part.weight): name for name, part in parts if isinstance(part, nn.Conv2d)}
        self._given: dict[str, tuple[Any, ...]] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is functional.conv2d and id(args[1]) in self._names:
            self._given[self._names[id(args[1])]] = args
        return func(*args, **(kwargs or {}))

    def window(self, layer: str, unit: int, row: int, col: int) -> Tensor | None:
        """The input under the kernel at a position of a unit, float (c, rows, columns); None if the layer is none."""
        if layer not in self._given:
            return None
        value, weight, _, stride, padding, dilation, groups = self._given[layer]
        channels, *kernel = weight.shape[1:]
        first = unit // (len(weight) // groups) * channels
        padded = functional.pad(value[0, first : first + channels], (padding[1],) * 2 + (padding[0],) * 2)
        places = zip((row, col), stride, kernel, dilation, strict=True)
        rows, cols = (slice(at * step, at * step + (size - 1) * apart + 1, apart) for at, step, size, apart in places)
        return padded[:, rows, cols].clone()


def report_tied(model: Model, images: ImageSet, index: Index, units: Array) -> None:
    """Run the images of all pairs that are not told apart again, and print how many are truly equal.

    Args:
        model: The model.
        images: The image set.
        index: Their index.
        units: bool (u,), the units whose lists are looked at.
    """
    pairs = {kind: _tied(index, kind, units) for kind in ("max", "mean")}
    windows, maps = _run(model, images, index, {hit for found in pairs.values() for pair in found for hit in pair})
    for kind, seen, what in (("max", windows, "input under the kernel"), ("mean", maps, "whole maps")):
        counts = Counter(_compared(seen[one], seen[two]) for one, two in pairs[kind])
        said = ", ".join(f"{words} {count}" for words, count in counts.most_common())
        print(f"by {kind}, {len(pairs[kind])} pairs of neighbours not told apart; their {what}: {said}")


def _tied(index: Index, kind: str, units: Array) -> list[tuple[Hit, Hit]]:
    """Pairs of neighbours in the lists that are equal in score and in the value before the activation function."""
    score, before, image = (np.asarray(index.array(f"top_{kind}_{part}")) for part in ("score", "before", "image"))
    equal = (score[:, 1:] == score[:, :-1]) & (before[:, 1:] == before[:, :-1]) & units[:, None]
    places = np.argwhere(equal).tolist()
    return [((unit, int(image[unit, at])), (unit, int(image[unit, at + 1]))) for unit, at in places]


def _run(model: Model, images: ImageSet, index: Index, hits: set[Hit]) -> tuple[dict[Hit, Tensor | None], ...]:
    """The input under the kernel at the maximum, and the map of what enters the activation function, of each hit."""
    plan = model.plan()
    names = [(layer, unit) for layer in plan.layers for unit in range(layer.units)]
    units: dict[int, list[int]] = defaultdict(list)
    for unit, image in sorted(hits):
        units[image].append(unit)
    windows: dict[Hit, Tensor | None] = {}
    maps: dict[Hit, Tensor | None] = {}
    values: dict[str, Tensor] = {}

    def keep(number: int, value: Tensor) -> None:
        values[plan.layers[number].name] = value[0].clone()

    with (
        torch.inference_mode(),
        tapped(plan, lambda number, value: None, keep) as forward,
        Convolutions(model.module) as convolutions,
    ):
        for image, wanted in units.items():
            forward(model.preprocess(images.read(image))[None])
            for unit in wanted:
                layer, channel = names[unit]
                maps[unit, image] = values[layer.name][channel].clone()
                row, col = divmod(int(maps[unit, image].argmax()), layer.grid[1])
                windows[unit, image] = convolutions.window(layer.name, channel, row, col)
    return windows, maps


def _compared(one: Tensor | None, two: Tensor | None) -> str:
    if one is None or two is None:
        return "not a convolution's"
    if not torch.equal(one, two):
        return "different"
    return "equal" if one.any() else "all zero"
