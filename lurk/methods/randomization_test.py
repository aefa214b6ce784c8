"""How far a map depends on what the network learned: the map with randomised weights, and the three rules compared.

A map that stays the same when all weights are drawn anew shows the image and the architecture, not what the network
learned (Adebayo et al., 2018, arXiv 1810.03292). Similarity is the rank correlation of two maps: 1 where both order
the pixels alike, 0 where they have nothing in common. For a unit at a position it is taken inside the box that the
position sees, as all maps are 0 outside; what fades from the middle of that box to its edges does so for any weights,
and makes the maps of such targets alike.
"""

import copy
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
from lurk.graph.device import device_of
from lurk.graph.hooks import frozen
from lurk.graph.plan import Plan
from lurk.methods import MapMethod, MapRequest
from lurk.methods.attribution.backsignal import RULES, back
from lurk.methods.attribution.target import Target, explaining, settled
from lurk.models.model import Model
from lurk.records import Box

MOST_ALIKE = 0.5
CALIBRATING = 4


@dataclass(frozen=True)
class Sanity:
    """How far a map depends on what the network learned.

    Args:
        values: float32 (c, h, w), the map with randomised weights.
        similarity: Of the map with that one, from -1 to 1; None where one of them is the same everywhere.
        agreement: Similarity of the maps of two rules of the back-signal for this target, by `rule-rule`; empty where
            a rule is not defined for the network.
        warning: What the page says where the map barely changes; empty where it changes.
    """

    values: np.ndarray[Any, np.dtype[np.float32]]
    similarity: float | None
    agreement: Mapping[str, float | None]
    warning: str


def check(method: MapMethod, request: MapRequest, seed: int = 0) -> Sanity:
    """Make a map, and the same map with randomised weights, and compare them.

    Args:
        method: The method.
        request: What it is asked for. A target at the unit's maximum stays at the position of the maximum in the
            image with the real weights: otherwise the map would move for a reason of its own. Where the unit is not
            above 0 there with the randomised weights, the next one of the layer that is takes its place: by then no
            unit is the one that it was.
        seed: Seed of the weights.

    Returns:
        What the comparison says.
    """
    target = settled(request.plan, request.target, request.image)
    real = method.run(replace(request, target=target)).values
    model, plan = randomised(request.model, request.plan, seed)
    asked = replace(request, model=model, plan=plan, target=_alive(plan, request.image, target))
    if request.quantiles is not None:
        asked = replace(asked, quantiles=_own_quantiles(asked))
    with frozen(model.module):
        values = method.run(asked).values
    box = _box(request.plan, target, request.image)
    alike = similarity(real, values, box)
    warning = ""
    if alike is not None and alike > MOST_ALIKE:
        warning = (
            f"{method.spec.label} barely changes when the weights are randomised (similarity {alike:.2f}): here it "
            "shows the image and the architecture more than what the network learned"
            f"{', such as the shape of the field that a position sees' if target.where == 'position' else ''}."
        )
    shown = np.asarray(values.detach().cpu(), np.float32)
    return Sanity(shown, alike, agreement(request.plan, request.image, target), warning)


def randomised(model: Model, plan: Plan, seed: int) -> tuple[Model, Plan]:
    """Copy a model with the entries of every weight tensor in another order; the model itself stays as it is.

    Each tensor keeps its mean and deviation. The statistics of batch normalisations are measured anew, on smooth
    noise, so that activations stay in range.

    Args:
        model: The model.
        plan: Its layers.
        seed: Seed of the order.

    Returns:
        The copy and its plan.
    """
    module = copy.deepcopy(model.module)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in module.parameters():
            if weight.is_floating_point() and weight.numel() > 1:
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
    with frozen(module), torch.no_grad():
        for part in norms:
            part.momentum, part.training = 1.0, True
        module(noise.to(device_of(module), dtype))
    for part, momentum in zip(norms, kept, strict=True):
        part.momentum = momentum


def _alive(plan: Plan, image: Tensor, target: Target) -> Target:
    """The same target of the next unit that is above 0, so that there is something to explain."""
    if target.where == "class":
        return target
    with explaining(plan, target) as forward, torch.no_grad():
        values = forward(image[None])[1][target.layer][0]
    numbers = values[:, target.row, target.col] if target.where == "position" else values.sum((1, 2))
    alive = (numbers.roll(-target.unit) > 0).nonzero()
    return replace(target, unit=(target.unit + int(alive[0])) % len(numbers)) if len(alive) else target


def _box(plan: Plan, target: Target, image: Tensor) -> Box:
    """The part of the image that can change a target, in pixels."""
    size = (image.shape[1], image.shape[2])
    layer = next((layer for layer in plan.layers if layer.name == target.layer), None)
    if layer is None or target.where != "position":
        return (0, 0, *size)
    row0, col0, row1, col1 = layer.box(target.row, target.col, size)
    return (max(row0, 0), max(col0, 0), row1, col1)


def _own_quantiles(request: MapRequest) -> dict[float, float]:
    """What a randomised unit has at each probability over this image: the image set's values are another unit's."""
    own = Target(request.target.layer, request.target.unit, "map")
    with explaining(request.plan, own) as forward, torch.no_grad():
        values = forward(request.image[None])[1][own.layer][0, own.unit].flatten().double()
    return {probability: float(values.quantile(probability)) for probability in request.quantiles or ()}


def agreement(plan: Plan, image: Tensor, target: Target) -> dict[str, float | None]:
    """Compare the maps of the three rules of the back-signal.

    Args:
        plan: The model and its layers.
        image: float (c, h, w), preprocessed.
        target: What the maps explain.

    Returns:
        The similarity of each two rules, by `rule-rule`; empty where a rule is not defined for the network.
    """
    batch = image[None].detach().clone().requires_grad_()
    with explaining(plan, target) as forward:
        numbers, _ = forward(batch)
        try:
            maps = {rule: back(numbers, batch, rule, keep=True)[0] for rule in RULES}
        except LurkError:
            return {}
    box = _box(plan, target, image)
    return {f"{one}-{two}": similarity(maps[one], maps[two], box) for one, two in combinations(RULES, 2)}


def similarity(one: Tensor, two: Tensor, box: Box | None = None) -> float | None:
    """Spearman's rank correlation of two maps, each the sum over the channels of the absolute values.

    Args:
        one: float (c, h, w).
        two: float (c, h, w).
        box: The part to compare, half-open (row0, col0, row1, col1) in pixels; the whole image is compared without
            one, and where a map reaches beyond it.

    Returns:
        From -1 to 1, equal values sharing their rank; None where a map is the same everywhere.
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
    """Rank of each value, the mean rank where several are equal."""
    _, which, counts = torch.unique(values, return_inverse=True, return_counts=True)
    last = counts.cumsum(0).double()
    ranks: Tensor = (last - (counts - 1) / 2)[which]
    return ranks
