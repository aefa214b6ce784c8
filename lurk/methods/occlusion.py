"""Occlusion: how the target's number falls when a square of the image is covered.

The square slides over the image in steps of the stride from the top left corner; the last places are cut at the border.
A pixel's value is the drop of the number, uncovered minus covered, averaged over the squares that cover the pixel. A
target at the unit's maximum stays at the position of the maximum in the uncovered image. `grey` covers with the middle
of black and white, `mean` with the mean colour of this image, `0` with what the network takes as 0. What is smaller
than the square is blurred.

Beside the map stand tables with an entry for each place of the square: `activation`, the target's number, float32;
`top_left`, the corner in pixels, int64; and, if the model gives scores of classes, `probability`, float32, of the
target's class, else of the most probable class of the uncovered image, and `label`, int64, the most probable class
under the square.
"""

from collections.abc import Sequence
from math import ceil

import numpy as np
import torch
from torch import Tensor

from lurk.errors import LurkError, ModelError
from lurk.graph.partial_forward import Activations, partial_forward
from lurk.method_spec import Option
from lurk.methods import Map, MapRequest, map_method
from lurk.methods.attribution.target import Target, locate_maximum

BATCH = 16
Corners = list[tuple[int, int]]  # (top, left) of each place of the square in pixels, row by row


@map_method(
    version=2,
    label="Occlusion",
    paper="Zeiler & Fergus, Visualizing and Understanding Convolutional Networks, 2014, arXiv 1311.2901, figure 7",
    caution="A covered image is no natural one: the square's edges excite units, and what stands twice in the image is "
    "missed.",
    signed=True,
    options=(
        Option("size", 0, "Side of the square in pixels; 0 for a seventh of the image's shorter side.", 0, 4096),
        Option("stride", 0, "Pixels from one place to the next; 0 for half of the square's side.", 0, 4096),
        Option("fill", "grey", "What covers the image.", choices=("grey", "mean", "0")),
    ),
)
def occlusion(request: MapRequest) -> Map:
    """How far the unit falls when a square of the image is covered, for each place of the square."""
    side, rows, cols, corners = _places(request)
    target = locate_maximum(request.plan, request.target, request.image)
    request.report(0, len(corners))
    fill = _fill(request)
    layers = [] if target.where == "class" else [target.layer]
    with partial_forward(request.plan, layers, to_the_end=True) as reach, torch.no_grad():
        whole, shares = _read(reach(request.image[None]), target)
        label = target.label if target.where == "class" or shares is None else int(shares[0].argmax())
        numbers, tables = [], []
        for first in range(0, len(corners), BATCH):
            batch = corners[first : first + BATCH]
            covered, shares = _read(reach(_cover(request.image, batch, side, fill)), target)
            numbers.append(covered)
            tables += [] if shares is None else [(shares[:, label], shares.argmax(1))]
            request.report(first + len(batch), len(corners))
    values = torch.cat(numbers)
    more = {"activation": values.float(), "top_left": torch.tensor(corners)}
    if tables:
        more |= {"probability": torch.cat([one for one, _ in tables]).float()}
        more |= {"label": torch.cat([one for _, one in tables])}
    arrays = {name: np.asarray(table.cpu().reshape(rows, cols, *table.shape[1:])) for name, table in more.items()}
    return Map(_paint(whole - values, corners, side, request.image).float(), arrays)


def _places(request: MapRequest) -> tuple[int, int, int, Corners]:
    """Side of the square, number of rows and columns of places, and their corners."""
    height, width = request.image.shape[1:]
    side = request.options["size"] or max(1, round(min(height, width) / 7))
    stride = request.options["stride"] or max(1, side // 2)
    if side > min(height, width):
        raise LurkError(f"size is at most {min(height, width)}, the image's shorter side in pixels, not {side}")
    if stride > side:
        raise LurkError(f"stride is at most the square's side of {side}, or pixels would be left out; not {stride}")
    rows, cols = ceil((height - side) / stride) + 1, ceil((width - side) / stride) + 1
    return side, rows, cols, [(stride * row, stride * col) for row in range(rows) for col in range(cols)]


def _fill(request: MapRequest) -> Tensor:
    """Colour of the square as the network takes it, float (c, 1, 1)."""
    blank = torch.zeros_like(request.image[:, :1, :1])
    if request.options["fill"] == "grey":
        return request.model.normalised(blank.new_full((request.model.normalisation.samples, 1, 1), 0.5))
    return request.image.mean((1, 2), keepdim=True) if request.options["fill"] == "mean" else blank


def _cover(image: Tensor, corners: Corners, side: int, fill: Tensor) -> Tensor:
    batch = image[None].repeat(len(corners), 1, 1, 1)
    for one, (top, left) in zip(batch, corners, strict=True):
        one[:, top : top + side, left : left + side] = fill
    return batch


def _read(reached: Activations, target: Target) -> tuple[Tensor, Tensor | None]:
    """The target's numbers, float (n,), and the probabilities of classes, float (n, classes), if there are classes."""
    numbers = target.value(reached)
    try:
        return numbers, reached.class_probabilities
    except ModelError:
        return numbers, None


def _paint(drops: Tensor, corners: Sequence[tuple[int, int]], side: int, image: Tensor) -> Tensor:
    """Mean drop over the squares that cover each pixel, float (1, h, w)."""
    total = torch.zeros_like(image[0], dtype=torch.float64)
    count = torch.zeros_like(total)
    for drop, (top, left) in zip(drops.tolist(), corners, strict=True):
        total[top : top + side, left : left + side] += drop
        count[top : top + side, left : left + side] += 1
    return (total / count)[None]
