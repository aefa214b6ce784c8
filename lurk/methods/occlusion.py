"""How far the unit falls when a square of the image is covered, for each place of the square.

A square slides over the image in steps of the stride from the top left corner, the last ones cut at the border. A
pixel's value is the drop of the target's number, uncovered minus covered, averaged over the squares that cover the
pixel. A target at the unit's maximum stays at the position of the maximum in the uncovered image. Beside the map
stand the tables by place of the square: the target's number, the probability of a class (the most probable one of the
uncovered image, or the target's) and the class that is the most probable one then. `grey` covers with the middle of
black and white, `mean` with the mean colour of this image, `0` with what the network takes as 0.

Misleads: a covered image is no natural one, and the square's own edges excite units; what stands twice in the image
is missed, as covering one leaves the other; things smaller than the square blur.

Paper: Zeiler & Fergus, 2014, arXiv 1311.2901, figure 7.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from math import ceil

import numpy as np
import torch
from torch import Tensor

from lurk.errors import LurkError, ModelError
from lurk.graph.partial_forward import Reached, reaching
from lurk.method_spec import MethodSpec, Option
from lurk.methods import METHODS, Map, MapMethod, MapRequest
from lurk.methods.attribution.target import Target, settled

BATCH = 16
OFFER = MethodSpec(
    name="occlusion",
    label="Occlusion",
    shows="How far the unit falls when a square of the image is covered, for each place of the square.",
    gives="map",
    needs=("layer", "unit", "image"),
    paper="Zeiler & Fergus, Visualizing and Understanding Convolutional Networks, 2014, arXiv 1311.2901, figure 7",
    version=1,
    signed=True,
    caution="A covered image is no natural one: the square's edges excite units, and what stands twice in the image is "
    "missed.",
    options=(
        Option("size", 0, "Side of the square in pixels; 0 for a seventh of the image's shorter side.", 0, 4096),
        Option("stride", 0, "Pixels from one place to the next; 0 for half of the square's side.", 0, 4096),
        Option("fill", "grey", "What covers the image.", choices=("grey", "mean", "0")),
    ),
)


@dataclass(frozen=True)
class _Squares:
    """The places of the square: side and stride in pixels, number of rows and columns of places."""

    side: int
    stride: int
    rows: int
    cols: int

    def corners(self) -> Iterator[tuple[int, int]]:
        """(top, left) of each place in pixels, row by row."""
        for at in range(self.rows * self.cols):
            yield self.stride * (at // self.cols), self.stride * (at % self.cols)


def run(request: MapRequest) -> Map:
    """Cover each place of the image and see what the target's number becomes.

    Args:
        request: What is asked for.

    Returns:
        float32 (1, h, w); beside it float32 (rows, cols) `activation`, int64 (rows, cols, 2) `top_left` in pixels and,
        where the model gives scores of classes, float32 (rows, cols) `probability` and int64 (rows, cols) `label`.
    """
    squares = _squares(request)
    target = settled(request.plan, request.target, request.image)
    corners = list(squares.corners())
    request.report(0, len(corners))
    fill = _fill(request)
    with reaching(request.plan, _layers(target), to_the_end=True) as reach, torch.no_grad():
        whole = _seen(reach(request.image[None]), target, None)
        label = target.label if target.where == "class" else whole.best
        parts = [whole]
        for first in range(0, len(corners), BATCH):
            here = corners[first : first + BATCH]
            parts.append(_seen(reach(_covered(request.image, here, squares.side, fill)), target, label))
            request.report(first + len(here), len(corners))
    numbers = torch.cat([part.numbers for part in parts])
    more = {"activation": numbers[1:].float(), "top_left": torch.tensor(corners)}
    if label is not None:
        more["probability"] = torch.cat([part.probability for part in parts[1:]]).float()
        more["label"] = torch.cat([part.labels for part in parts[1:]])
    grid = (squares.rows, squares.cols)
    tables = {name: np.asarray(values.cpu().reshape(*grid, *values.shape[1:])) for name, values in more.items()}
    return Map(_painted(numbers[0] - numbers[1:], corners, squares.side, request.image).float(), tables)


def _layers(target: Target) -> list[str]:
    return [] if target.where == "class" else [target.layer]


def _squares(request: MapRequest) -> _Squares:
    height, width = request.image.shape[1:]
    side = int(str(request.options["size"])) or max(1, round(min(height, width) / 7))
    stride = int(str(request.options["stride"])) or max(1, side // 2)
    if side > min(height, width):
        raise LurkError(f"size is at most {min(height, width)}, the image's shorter side in pixels, not {side}")
    if stride > side:
        raise LurkError(f"stride is at most the square's side of {side}, or pixels would be left out; not {stride}")
    return _Squares(side, stride, ceil((height - side) / stride) + 1, ceil((width - side) / stride) + 1)


def _fill(request: MapRequest) -> Tensor:
    """Colour of the square as the network takes it, float (c, 1, 1)."""
    blank = torch.zeros_like(request.image[:, :1, :1])
    if request.options["fill"] == "grey":
        return request.model.normalised(blank + 0.5)
    return request.image.mean((1, 2), keepdim=True) if request.options["fill"] == "mean" else blank


def _covered(image: Tensor, corners: list[tuple[int, int]], side: int, fill: Tensor) -> Tensor:
    batch = image[None].repeat(len(corners), 1, 1, 1)
    for one, (top, left) in zip(batch, corners, strict=True):
        one[:, top : top + side, left : left + side] = fill
    return batch


@dataclass(frozen=True)
class _Seen:
    """What a batch gave: the target's numbers, and, where there are classes, probabilities and best classes."""

    numbers: Tensor
    probability: Tensor
    labels: Tensor

    @property
    def best(self) -> int | None:
        """The most probable class of the first image, None without classes."""
        return int(self.labels[0]) if len(self.labels) else None


def _seen(reached: Reached, target: Target, label: int | None) -> _Seen:
    numbers = target.value(reached)
    nothing = numbers.new_zeros(0)
    with suppress(ModelError):
        shares = _shares(reached.logits)
        return _Seen(numbers, shares[:, label or 0], shares.argmax(1))
    return _Seen(numbers, nothing, nothing)


def _shares(scores: Tensor) -> Tensor:
    """Probabilities of classes; scores that are such already stay as they are."""
    sums = scores.sum(1)
    already = bool((scores >= 0).all()) and torch.allclose(sums, torch.ones_like(sums), atol=1e-3)
    return scores if already else scores.softmax(1)


def _painted(drops: Tensor, corners: list[tuple[int, int]], side: int, image: Tensor) -> Tensor:
    """Mean drop over the squares that cover each pixel, float (1, h, w)."""
    total = torch.zeros_like(image[0], dtype=torch.float64)
    count = torch.zeros_like(total)
    for drop, (top, left) in zip(drops.tolist(), corners, strict=True):
        total[top : top + side, left : left + side] += drop
        count[top : top + side, left : left + side] += 1
    return (total / count)[None]


METHODS.register("occlusion")(MapMethod(OFFER, run))
