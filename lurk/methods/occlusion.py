"""Occlusion: how the target's number falls when a square of the image is covered.

The square slides over the image in steps of the stride from the top left corner; the last places are cut at the border.
A pixel's value is the drop of the number, uncovered minus covered, averaged over the squares that cover the pixel. A
target at the unit's maximum stays at the position of the maximum in the uncovered image. `grey` covers with the middle
of black and white, `mean` with the mean colour of this image, `0` with what the network takes as 0. What is smaller
than the square is blurred.

A place whose square lies outside of the box that the target's position sees is not tried: it changes nothing. The first
layers are computed only where the square changes them.

Beside the map stand tables with an entry for each place of the square: `activation`, the target's number, float32;
`top_left`, the corner in pixels, int64; and, if the target is a class, `probability`, float32, its probability, and
`label`, int64, the most probable class under the square.
"""

from collections.abc import Sequence
from math import ceil

import numpy as np
import torch
from torch import Tensor

from lurk.errors import LurkError
from lurk.graph.faster.folding import folded
from lurk.graph.partial_forward import Near
from lurk.method_spec import Option
from lurk.methods import Map, MapRequest, map_method
from lurk.methods.attribution.target import Target, each, forward_to, locate_maximum

BATCH = 16
Corners = list[tuple[int, int]]  # (top, left) of each place of the square in pixels, row by row


def _draft(height: int, width: int) -> dict[str, int]:
    """A square of twice the side that does not overlap with its neighbours: about a tenth of the places."""
    side = max(1, round(min(height, width) / 3.5))
    return {"size": side, "stride": side}


@map_method(
    draft=_draft,
    many_passes=True,
    version=3,
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
    target = locate_maximum(request.plan, request.target, request.images)
    tried = _seen(request, target, corners, side)
    request.report(0, len(tried))
    fill, tables = _fill(request), []
    plan = folded(request.plan, to_the_end=target.where == "class")
    near = Near(request.images, side)
    with torch.no_grad(), forward_to(plan, target, through_bound=False, near=near) as forward:
        whole, _ = forward(request.images)
        numbers = whole.repeat(len(corners))
        for first in range(0, len(tried), BATCH):
            batch = tried[first : first + BATCH]
            covered = _cover(request.images[0], [corners[place] for place in batch], side, fill)
            numbers[batch], reached = forward(covered)
            tables += [reached.class_probabilities] if target.where == "class" else []
            request.report(first + len(batch), len(tried))
    more = {"activation": numbers.float(), "top_left": torch.tensor(corners)}
    if tables:
        shares = torch.cat(tables)
        more |= {"probability": shares[:, target.label].float(), "label": shares.argmax(1)}
    arrays = {name: np.asarray(table.cpu().reshape(1, rows, cols, *table.shape[1:])) for name, table in more.items()}
    return Map(_paint(whole - numbers, corners, side, request.size).float(), arrays)


def _seen(request: MapRequest, target: Target, corners: Corners, side: int) -> list[int]:
    """Numbers of the places whose square reaches into the box of pixels that can change the target."""
    layer = next((layer for layer in request.plan.layers if layer.name == target.layer), None)
    if layer is None or target.where != "position":
        return list(range(len(corners)))
    row0, col0, row1, col1 = layer.box(each(target.row)[0], each(target.col)[0], request.size)
    return [
        place
        for place, (top, left) in enumerate(corners)
        if top < row1 and top + side > row0 and left < col1 and left + side > col0
    ]


def _places(request: MapRequest) -> tuple[int, int, int, Corners]:
    """Side of the square, number of rows and columns of places, and their corners."""
    height, width = request.size
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
    blank = torch.zeros_like(request.images[0, :, :1, :1])
    if request.options["fill"] == "grey":
        return request.model.normalised(blank.new_full((request.model.normalisation.samples, 1, 1), 0.5))
    return request.images[0].mean((1, 2), keepdim=True) if request.options["fill"] == "mean" else blank


def _cover(image: Tensor, corners: Corners, side: int, fill: Tensor) -> Tensor:
    batch = image[None].repeat(len(corners), 1, 1, 1)
    for one, (top, left) in zip(batch, corners, strict=True):
        one[:, top : top + side, left : left + side] = fill
    return batch


def _paint(drops: Tensor, corners: Sequence[tuple[int, int]], side: int, size: tuple[int, int]) -> Tensor:
    """Mean drop over the squares that cover each pixel, float (1, 1, h, w)."""
    total = torch.zeros(size, dtype=torch.float64)
    count = torch.zeros_like(total)
    for drop, (top, left) in zip(drops.tolist(), corners, strict=True):
        total[top : top + side, left : left + side] += drop
        count[top : top + side, left : left + side] += 1
    return (total / count)[None, None]
