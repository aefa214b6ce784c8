"""The randomization test: how far a map depends on the weights, and how far the rules of the back-signal agree.

A map that stays the same when all weights are randomised shows the image and the architecture, not what the network
learned (Adebayo et al., 2018, arXiv 1810.03292). Similarity is the rank correlation of two maps: 1 if both order the
pixels alike, 0 if they have nothing in common. For a unit at a position it is measured inside the box that the position
sees, as all maps are 0 outside. Many maps fade from the middle of that box to its edges whatever the weights are, which
makes the maps of such targets alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from lurk.errors import LurkError
from lurk.graph.hooks import frozen
from lurk.graph.plan import Plan
from lurk.methods import MapMethod, MapRequest
from lurk.methods.attribution.backsignal import RULES, backpropagate
from lurk.methods.attribution.target import Target, each, forward_to, locate_maximum
from lurk.models.copying import copied
from lurk.models.model import Model
from lurk.records import Box

MOST_ALIKE = 0.5
FIXED = ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm")
CALIBRATING = 4


@dataclass(frozen=True)
class SanityCheck:
    """How far a map depends on what the network learned.

    Args:
        values: float32 (c, h, w), the map with randomised weights.
        similarity: Of the map with real weights and that one, from -1 to 1; None if one of them is the same everywhere.
        agreement: Similarity of the maps of two rules of the back-signal for this target, by `rule-rule`; empty if a
            rule is not defined for the network.
        warning: What the page says of a map that barely changes; empty if it changes.
    """

    values: np.ndarray[Any, np.dtype[np.float32]]
    similarity: float | None
    agreement: Mapping[str, float | None]
    warning: str


def check_sanity(method: MapMethod, request: MapRequest, seed: int = 0) -> SanityCheck:
    """Make a map, and the same map with randomised weights, and compare them.

    Args:
        method: The method.
        request: The request, for one image. A target at the unit's maximum stays at the position of the maximum in the
            image with the real weights: otherwise the map would move for a reason of its own. If the unit is not above
            0 there with the randomised weights, the next unit of the layer that is takes its place: with such weights
            no unit is the one that it was.
        seed: Seed of the weights.

    Returns:
        The comparison.
    """
    target, image = locate_maximum(request.plan, request.target, request.images), request.images[0]
    real = method.run(replace(request, target=target)).values[0]
    model, plan = randomize_weights(request.model, request.plan, seed)
    randomized = replace(request, model=model, plan=plan, target=_active_target(plan, image, target), passes=None)
    if request.quantiles is not None:
        randomized = replace(randomized, quantiles=_own_quantiles(randomized))
    with frozen(model.module):
        values = method.run(randomized).values[0]
    box = _box(request.plan, target, image)
    alike = similarity(real, values, box)
    warning = ""
    if alike is not None and alike > MOST_ALIKE:
        warning = (
            f"{method.spec.label} barely changes when the weights are randomised (similarity {alike:.2f}): here it "
            "shows the image and the architecture more than what the network learned"
            f"{', such as the shape of the field that a position sees' if target.where == 'position' else ''}."
        )
    shown = np.asarray(values.detach().cpu(), np.float32)
    return SanityCheck(shown, alike, compare_rules(request.plan, image, target), warning)


def randomize_weights(model: Model, plan: Plan, seed: int) -> tuple[Model, Plan]:
    """Copy a model and shuffle the entries of every weight tensor of the copy.

    Each tensor keeps its mean and deviation. The statistics of batch normalisations are measured anew, on smooth
    noise, so that activations stay in range.

    Args:
        model: The model.
        plan: Its layers.
        seed: Seed of the order.

    Returns:
        The copy and its plan.

    Raises:
        LurkError: Its batch normalisations are fixed, as in TorchScript and exported programs.
    """
    module = copied(model.module)
    kinds = {type(part) for part in module.modules() if not isinstance(part, _BatchNorm)}
    if any(kind.__name__ in FIXED for kind in kinds):
        raise LurkError(
            "the check with random weights cannot be had for this model: its batch normalisations are fixed, as in "
            "TorchScript and exported programs; give the Python code of the network"
        )
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in module.parameters():
            if weight.numel() > 1:
                order = torch.randperm(weight.numel(), generator=generator).to(weight.device)
                weight.copy_(weight.flatten()[order].view_as(weight))
        _calibrate(module, plan.input_shape, model.dtype, generator)
    return replace(model, module=module, weights="randomised", file_hash=None), replace(plan, module=module)


def _calibrate(module: nn.Module, shape: tuple[int, int, int], dtype: torch.dtype, generator: torch.Generator) -> None:
    norms = [part for part in module.modules() if isinstance(part, _BatchNorm) and part.running_mean is not None]
    if not norms:
        return
    kept = [part.momentum for part in norms]
    noise = torch.zeros(CALIBRATING, *shape)
    for side in (2, 4, 8, 16, 32):
        coarse = torch.randn(CALIBRATING, shape[0], side, side, generator=generator)
        noise += functional.interpolate(coarse, shape[1:], mode="bilinear") / 5**0.5
    device = next((weight.device for weight in module.parameters()), torch.device("cpu"))
    with frozen(module), torch.no_grad():
        for part in norms:
            part.momentum, part.training = 1.0, True
        module(noise.to(device, dtype))
    for part, momentum in zip(norms, kept, strict=True):
        part.momentum = momentum


def _active_target(plan: Plan, image: Tensor, target: Target) -> Target:
    """The same target for the next unit that is above 0, so that there is something to explain."""
    if target.where == "class":
        return target
    with forward_to(plan, target) as forward, torch.no_grad():
        values = forward(image[None])[1][target.layer][0]
    numbers = values[:, *_position(target)] if target.where == "position" else values.sum((1, 2))
    active = (numbers.roll(-target.unit) > 0).nonzero()
    return replace(target, unit=(target.unit + int(active[0])) % len(numbers)) if len(active) else target


def _box(plan: Plan, target: Target, image: Tensor) -> Box:
    """The part of the image that can change a target, in pixels."""
    size = (image.shape[1], image.shape[2])
    layer = next((layer for layer in plan.layers if layer.name == target.layer), None)
    if layer is None or target.where != "position":
        return (0, 0, *size)
    row0, col0, row1, col1 = layer.box(*_position(target), size)
    return (max(row0, 0), max(col0, 0), row1, col1)


def _position(target: Target) -> tuple[int, int]:
    return each(target.row)[0], each(target.col)[0]


def _own_quantiles(request: MapRequest) -> dict[float, float]:
    """The quantiles of the randomised unit over this image; those over the image set are of the real unit."""
    own = Target(request.target.layer, request.target.unit, "map")
    with forward_to(request.plan, own) as forward, torch.no_grad():
        values = forward(request.images)[1][own.layer][0, own.unit].flatten().double()
    return {probability: float(values.quantile(probability)) for probability in request.quantiles or ()}


def compare_rules(plan: Plan, image: Tensor, target: Target) -> dict[str, float | None]:
    """Compare the maps of the three rules of the back-signal.

    Args:
        plan: The model and its layers.
        image: float (c, h, w), preprocessed.
        target: What the maps explain.

    Returns:
        The similarity of each two rules, by `rule-rule`; empty if a rule is not defined for the network.
    """
    batch = image[None].detach().clone().requires_grad_()
    with forward_to(plan, target) as forward:
        numbers, _ = forward(batch)
        try:
            maps = {rule: backpropagate(numbers, batch, rule, keep=True)[0] for rule in RULES}
        except LurkError:
            return {}
    box = _box(plan, target, image)
    return {f"{one}-{two}": similarity(maps[one], maps[two], box) for one, two in combinations(RULES, 2)}


def similarity(one: Tensor, two: Tensor, box: Box | None = None) -> float | None:
    """Spearman's rank correlation of two maps, each the sum over the channels of the absolute values.

    Args:
        one: float (c, h, w).
        two: float (c, h, w).
        box: The part to compare, half-open (row0, col0, row1, col1) in pixels. The whole image is compared if there is
            no box, or if a map reaches beyond it.

    Returns:
        From -1 to 1, equal values sharing their rank; None if a map is the same everywhere.
    """
    a, b = (values.detach().double().abs().sum(0) for values in (one, two))
    if box is not None:
        inside = torch.zeros_like(a, dtype=torch.bool)
        inside[box[0] : box[2], box[1] : box[3]] = True
        if not bool(((a != 0) | (b != 0))[~inside].any()):
            a, b = a[inside], b[inside]
    x, y = (_ranks(values.flatten()) for values in (a, b))
    x, y = x - x.mean(), y - y.mean()
    size = float(x.norm() * y.norm())
    return float(x @ y) / size if size > 0 else None


def _ranks(values: Tensor) -> Tensor:
    """The rank of each value; equal values have the mean of their ranks."""
    _, which, counts = torch.unique(values, return_inverse=True, return_counts=True)
    last = counts.cumsum(0).double()
    ranks: Tensor = (last - (counts - 1) / 2)[which]
    return ranks
