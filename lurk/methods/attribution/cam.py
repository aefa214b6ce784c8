"""Class activation maps: which layer they read, and how a grid of positions is spread over the image.

A unit is explained by the layer before it, a class by the layer that is shown: in both cases a map that gives one
number for each position of that layer, which is then brought to the size of the image.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lurk.errors import LayerError
from lurk.graph.partial_forward import partial_forward
from lurk.graph.plan import Plan
from lurk.method_spec import Option
from lurk.methods import MapRequest
from lurk.methods.attribution.forward_pass import ForwardPass, Passes, forward_pass
from lurk.methods.attribution.target import Target, check_channels, each
from lurk.records import LayerInfo

CAM_LAYER = Option(
    "at",
    "",
    "Layer whose maps are added up; where empty, for a class the layer that is shown, for a unit the nearest layer "
    "before it that the unit depends on and that has more than one position.",
)


@dataclass(frozen=True)
class LayerReading:
    """What a class activation map is made of.

    Args:
        layer: Name of the layer that is read.
        activation: float (n, channels, rows, cols), of that layer.
        gradient: float (n, channels, rows, cols), derivative of the target with respect to it.
        numbers: float (n,), value of the target.
    """

    layer: str
    activation: Tensor
    gradient: Tensor
    numbers: Tensor


def weighted_map(request: MapRequest, weigh: Callable[[Tensor], Tensor]) -> Tensor:
    """Add up the maps of the layer that explains a target, and keep what is above 0.

    Args:
        request: The request, of a method that has the option `CAM_LAYER`.
        weigh: Turns the derivative of the target, float (n, channels, rows, cols), into the weights of the maps.

    Returns:
        float32 (n, 1, h, w), never negative.
    """
    found = read_layer(request.plan, request.target, request.images, request.options["at"], request.passes)
    summed = (weigh(found.gradient) * found.activation).sum(1).clamp(min=0)
    return resize_map(summed.float(), request.size)[:, None]


def average(gradient: Tensor) -> Tensor:
    """Grad-CAM's weights: the mean derivative of each map, float (n, channels, 1, 1)."""
    return gradient.mean((2, 3), keepdim=True)


def read_layer(plan: Plan, target: Target, images: Tensor, at: str = "", passes: Passes | None = None) -> LayerReading:
    """Read the layer that explains a target.

    Args:
        plan: The model and its layers.
        target: The target.
        images: float (n, c, h, w), preprocessed.
        at: Name of the layer; empty for the one that `CAM_LAYER` describes.
        passes: Keeps the forward pass of the images.

    Returns:
        Its activation, and the target's derivative with respect to it.

    Raises:
        LayerError: There is no such layer, its positions have no known place, or the target does not depend on it.
    """
    if at:
        _check_placed(plan, at)
    names = [at] if at else _candidates(plan, target)
    for tried in (names[:1], names):  # the nearest layer nearly always is the one
        with forward_pass(plan, target, images, tried, passes) as done:
            numbers = target.value(done.reached)
            name = _source(plan, target, tried, numbers, done)
            if name is not None:
                gradient = done.reached.gradient(numbers.sum(), name)
                return LayerReading(name, done.reached[name].detach(), gradient.detach(), numbers.detach())
    raise LayerError(_nothing(plan, target, at, images))


def nearest_layers(plan: Plan, target: Target) -> list[str]:
    """The layer that a map of the target most probably reads; empty if none comes before the target."""
    return _candidates(plan, target)[:1]


def _source(plan: Plan, target: Target, names: Sequence[str], numbers: Tensor, done: ForwardPass) -> str | None:
    """The first of some layers that numbers were computed from."""
    explaining = (name for name in names if _explains(plan, target, name))
    return next((name for name in explaining if done.reached.depends(numbers, name)), None)


def _check_placed(plan: Plan, name: str) -> None:
    for layer, tap in zip(plan.layers, plan.taps, strict=True):
        if layer.name == name and not tap.layout.placed:
            shape = "×".join(str(size) for size in layer.shape)
            where = f"where the positions of layer {name} ({shape}) lie in the image is not known"
            raise LayerError(f"{where}; choose another layer, or a gradient")


def _candidates(plan: Plan, target: Target) -> list[str]:
    """Layers with more than one position in the image that come before a target, the nearest first."""
    at = next((at for at, layer in enumerate(plan.layers) if layer.name == target.layer), len(plan.layers) - 1)
    if target.where == "class":
        at += 1
    placed = [layer for layer, tap in zip(plan.layers[:at], plan.taps, strict=False) if tap.layout.placed]
    return [layer.name for layer in reversed(placed) if layer.grid[0] * layer.grid[1] > 1]


def _explains(plan: Plan, target: Target, name: str) -> bool:
    """Whether a layer is another value than the one that is explained."""
    nodes = {layer.name: tap.node for layer, tap in zip(plan.layers, plan.taps, strict=True)}
    return target.where == "class" or nodes[name] != nodes[target.layer]


def _nothing(plan: Plan, target: Target, at: str, images: Tensor) -> str:
    what = f"class {target.label}" if target.where == "class" else f"unit {target.unit} of layer {target.layer}"
    if not at:
        return f"no layer with more than one position comes before {what}; choose another unit, or a class as target"
    names = [name for name in _candidates(plan, target) if _explains(plan, target, name)]
    with forward_pass(plan, target, images, names) as done:
        numbers = target.value(done.reached)
        good = ", ".join([name for name in names if done.reached.depends(numbers, name)][:5]) or "none"
    return f"{what} is not computed from layer {at!r}; layers before it, nearest first: {good}"


def unit_map(request: MapRequest) -> Tensor:
    """Spread the activation of the unit that is shown over the image, whatever the target is.

    Args:
        request: The request.

    Returns:
        float32 (n, 1, h, w).

    Raises:
        LayerError: It is not known where the layer's positions lie in the image.
    """
    plan, name, unit = request.plan, request.target.layer, request.target.unit
    _check_placed(plan, name)
    request.report(0, 1)
    done = request.passes.get([name]) if request.passes else None
    with partial_forward(plan, [name]) as reach, torch.no_grad():
        reached = done.reached if done else reach(request.images)
        values = reached[name][:, unit].float()
    layer = next(layer for layer in plan.layers if layer.name == name)
    spread = spread_positions(values.detach(), request.size, layer)
    request.report(1, 1)
    return spread[:, None]


def class_map(request: MapRequest) -> Tensor | None:
    """Spread the scores of a class at the positions of a segmentation network's output over the image.

    Args:
        request: The request.

    Returns:
        float32 (n, 1, h, w); None if the target is no class, or the network's scores have no positions.
    """
    if request.target.where != "class":
        return None
    with partial_forward(request.plan, [], to_the_end=True) as reach, torch.no_grad():
        reached = reach(request.images)
        check_channels(reached.class_scores, each(request.target.label), "class")
        maps = reached.class_maps
    if maps is None:
        return None
    labels = torch.tensor(each(request.target.label), device=maps.device).expand(len(maps))
    return resize_map(maps[torch.arange(len(maps)), labels].float(), request.size)[:, None]


def resize_map(values: Tensor, size: tuple[int, int]) -> Tensor:
    """Spread a grid over the image: its cells tile it, bilinear between their centres, flat beyond the outer ones.

    Args:
        values: float (n, rows, cols).
        size: (height, width) of the image in pixels.

    Returns:
        float (n, height, width).
    """
    steps = tuple(pixels / cells for pixels, cells in zip(size, values.shape[1:], strict=True))
    return _spread(values, size, steps, [step / 2 for step in steps])


def spread_positions(values: Tensor, size: tuple[int, int], layer: LayerInfo) -> Tensor:
    """Spread a layer's positions over the image, each at the centre of its receptive field, bilinear between them.

    Args:
        values: float (n, rows, cols), a number for each position of the layer.
        size: (height, width) of the image in pixels.
        layer: The layer. If its receptive field is the whole image, the positions tile the image, as in `resize_map`.

    Returns:
        float (n, height, width); beyond the outermost centres their values go on.
    """
    if layer.receptive_field is None or layer.jump is None or layer.offset is None:
        return resize_map(values, size)
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
