"""Class activation maps: which layer they read, and how a grid of positions is spread over the image.

A unit is explained by the layer before it, a class by the layer that is shown: in both cases a map that gives one
number for each position of that layer, which is then brought to the size of the image.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lurk.errors import LayerError
from lurk.graph.plan import Plan
from lurk.method_spec import Option
from lurk.methods.attribution.target import Target, explaining
from lurk.records import LayerInfo

AT = Option(
    "at",
    "",
    "Layer whose maps are added up; where empty, for a class the layer that is shown, for a unit the nearest layer "
    "before it that the unit depends on and that has more than one position.",
)


@dataclass(frozen=True)
class Reading:
    """What a class activation map is made of.

    Args:
        layer: Name of the layer that is read.
        activation: float (channels, rows, cols), of that layer.
        gradient: float (channels, rows, cols), derivative of the target with respect to it.
        number: float (), value of the target.
    """

    layer: str
    activation: Tensor
    gradient: Tensor
    number: Tensor


def read(plan: Plan, target: Target, image: Tensor, at: str = "") -> Reading:
    """Read the layer that explains a target.

    Args:
        plan: The model and its layers.
        target: The target.
        image: float (c, h, w), preprocessed.
        at: Name of the layer; empty for the one that `AT` says.

    Returns:
        Its activation, and the target's derivative with respect to it.

    Raises:
        LayerError: There is no such layer, or the target does not depend on it.
    """
    names = [at] if at else _candidates(plan, target)
    batch = image[None].detach().clone().requires_grad_()
    with explaining(plan, target, names) as forward:
        numbers, reached = forward(batch)
        name = next((name for name in names if _explains(plan, target, name) and reached.depends(numbers, name)), None)
        if name is None:
            raise LayerError(_nothing(plan, target, at, batch))
        gradient = reached.gradient(numbers.sum(), name)[0]
        return Reading(name, reached[name][0].detach(), gradient.detach(), numbers[0].detach())


def _candidates(plan: Plan, target: Target) -> list[str]:
    """Layers with more than one position that come before a target, the nearest first."""
    at = next((at for at, layer in enumerate(plan.layers) if layer.name == target.layer), len(plan.layers) - 1)
    if target.where == "class":
        at += 1
    return [layer.name for layer in reversed(plan.layers[:at]) if layer.grid[0] * layer.grid[1] > 1]


def _explains(plan: Plan, target: Target, name: str) -> bool:
    """Whether a layer is another value than the one that is explained."""
    nodes = {layer.name: tap.node for layer, tap in zip(plan.layers, plan.taps, strict=True)}
    return target.where == "class" or nodes[name] != nodes[target.layer]


def _nothing(plan: Plan, target: Target, at: str, batch: Tensor) -> str:
    what = f"class {target.label}" if target.where == "class" else f"unit {target.unit} of layer {target.layer}"
    if not at:
        return f"no layer with more than one position comes before {what}; choose another unit, or a class as target"
    names = [name for name in _candidates(plan, target) if _explains(plan, target, name)]
    with explaining(plan, target, names) as forward:
        numbers, reached = forward(batch)
        good = ", ".join([name for name in names if reached.depends(numbers, name)][:5]) or "none"
    return f"{what} is not computed from layer {at!r}; layers before it, nearest first: {good}"


def unit_map(plan: Plan, layer: str, unit: int, image: Tensor) -> Tensor:
    """A unit's own activation, spread over the image.

    Args:
        plan: The model and its layers.
        layer: Name of the layer.
        unit: Channel number.
        image: float (c, h, w), preprocessed.

    Returns:
        float32 (1, h, w).
    """
    with explaining(plan, Target(layer, unit, "map")) as forward, torch.no_grad():
        _, reached = forward(image[None])
        values = reached[layer][0, unit][None].float()
    info = next(info for info in plan.layers if info.name == layer)
    return anchored(values, (image.shape[1], image.shape[2]), info)


def resized(values: Tensor, size: tuple[int, int]) -> Tensor:
    """Spread a grid over the image: its cells tile it, bilinear between their centres, flat beyond the outer ones.

    Args:
        values: float (n, rows, cols).
        size: (height, width) of the image in pixels.

    Returns:
        float (n, height, width).
    """
    steps = tuple(pixels / cells for pixels, cells in zip(size, values.shape[1:], strict=True))
    return _spread(values, size, steps, [step / 2 for step in steps])


def anchored(values: Tensor, size: tuple[int, int], layer: LayerInfo) -> Tensor:
    """Spread a layer's positions over the image, each at the centre of its receptive field, bilinear between them.

    Args:
        values: float (n, rows, cols), a number for each position of the layer.
        size: (height, width) of the image in pixels.
        layer: The layer; where its receptive field is global, this is `resized`.

    Returns:
        float (n, height, width); beyond the outermost centres their values go on.
    """
    if layer.receptive_field is None or layer.jump is None or layer.offset is None:
        return resized(values, size)
    centres = [start + extent / 2 for start, extent in zip(layer.offset, layer.receptive_field, strict=True)]
    return _spread(values, size, layer.jump, centres)


def _spread(values: Tensor, size: tuple[int, int], steps: Sequence[float], centres: Sequence[float]) -> Tensor:
    rows, cols = (
        _weights(pixels, cells, step, centre, values)
        for pixels, cells, step, centre in zip(size, values.shape[1:], steps, centres, strict=True)
    )
    return rows @ values @ cols.T


def _weights(pixels: int, cells: int, step: float, centre: float, like: Tensor) -> Tensor:
    """Share of each cell in each pixel, float (pixels, cells); a pixel's own place is its middle."""
    places = (torch.arange(pixels, dtype=torch.float64) + 0.5 - centre) / max(step, 1e-9)
    near = places.clamp(0, cells - 1)[:, None] - torch.arange(cells, dtype=torch.float64)
    return (1 - near.abs()).clamp(min=0).to(like.device, like.dtype)
