"""How much a drawn picture excites a unit: measured on the picture alone, and after small shifts of it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lurk.errors import LurkError
from lurk.graph.device import device_of
from lurk.graph.partial_forward import Activations, partial_forward
from lurk.graph.plan import Plan
from lurk.methods.feature_vis.objectives import pick_channels
from lurk.methods.feature_vis.transforms import resize
from lurk.models.model import Model

SHIFTS = 8
FARTHEST = 8
BATCH = 16


@dataclass(frozen=True)
class PictureEvaluation:
    """What the network gives for a picture that is its input, with nothing else done to it.

    Args:
        reached_mean: Mean of the unit over its map; of a class, its score.
        reached_max: Largest value of the unit; of a class, its score.
        after_jitter_mean: The mean again, averaged over 8 random shifts: four and their opposites, each of up to 8
            pixels, or a quarter of the side if that is less.
        after_jitter_max: The largest value again, averaged likewise.
        probability: Of a class, its softmax probability; None for a unit.
        after_jitter_probability: The probability again, averaged likewise; None for a unit.
        before_mean: Mean over the map of what enters the unit's monotone activation function; None without one.
        before_max: Largest such value; None without one.
    """

    reached_mean: float
    reached_max: float
    after_jitter_mean: float
    after_jitter_max: float
    probability: float | None = None
    after_jitter_probability: float | None = None
    before_mean: float | None = None
    before_max: float | None = None


def evaluate_pictures(
    model: Model, plan: Plan, layer: str, unit_numbers: Sequence[int], pictures: Tensor, *, seed: int = 0
) -> list[PictureEvaluation]:
    """Measure pictures.

    Args:
        model: The model; it is left as it was.
        plan: Its layers.
        layer: Name of the layer; empty for pictures of classes.
        unit_numbers: The channel or class of each picture; empty for pictures of a layer as a whole.
        pictures: float (f, c, h, w), in [0, 1], of any size.
        seed: Seed of the shifts, which are the same for all pictures.

    Returns:
        The evaluation of each picture.

    Raises:
        LurkError: There are not as many numbers as pictures, or no such unit.
    """
    if unit_numbers and len(unit_numbers) != len(pictures):
        raise LurkError(f"{len(pictures)} pictures need as many units, not {len(unit_numbers)}")
    shifts = _shifts(model.input_shape[1:], seed)
    device = device_of(model.module)
    found = []
    with partial_forward(plan, [layer] if layer else [], to_the_end=not layer) as reach, torch.no_grad():
        for start in range(0, len(pictures), BATCH):
            shown = resize(pictures[start : start + BATCH].to(device).float(), model.input_shape[1:])
            numbers = tuple(unit_numbers[start : start + BATCH])
            inputs = model.normalised(shown).to(model.dtype)
            found.append(torch.stack([_measure(reach(_shift(inputs, *shift)), layer, numbers) for shift in shifts]))
    values = torch.cat(found, 1).cpu()
    clean, shifted = values[0].tolist(), values[1:].mean(0).tolist()
    return [_evaluation(one, two, is_class=not layer) for one, two in zip(clean, shifted, strict=True)]


def _evaluation(clean: Sequence[float], shifted: Sequence[float], *, is_class: bool) -> PictureEvaluation:
    """The evaluation of a picture from what `_measure` gave for it, and on average for its shifts."""
    odds = (clean[2], shifted[2]) if is_class else (None, None)
    before = (None, None) if math.isnan(clean[3]) else (clean[3], clean[4])
    return PictureEvaluation(clean[0], clean[1], shifted[0], shifted[1], *odds, *before)


def _shifts(size: tuple[int, int], seed: int) -> list[tuple[int, int]]:
    """(down, across) in pixels: none, then the random ones, then their opposites, so that no side is favoured."""
    generator = torch.Generator().manual_seed(seed)
    farthest = torch.tensor([[min(FARTHEST, side // 4) for side in size]])
    drawn = ((torch.rand(SHIFTS // 2, 2, generator=generator) * 2 - 1) * (farthest + 0.5)).round().int()
    return [(0, 0), *drawn.tolist(), *(-drawn).tolist()]


def relative_distance(model: Model, plan: Plan, layer: str, image: Tensor, pictures: Tensor) -> list[float]:
    """Measure how far a layer's activations for pictures are from those for an image; small for a good inversion.

    Args:
        model: The model; it is left as it was.
        plan: Its layers.
        layer: Name of the layer.
        image: float (c, h, w), preprocessed.
        pictures: float (f, c, h, w), in [0, 1], of any size.

    Returns:
        For each picture the distance divided by the length of the image's activations: 0 if they are equal.
    """
    with partial_forward(plan, [layer]) as reach, torch.no_grad():
        shown = resize(pictures.to(image.device).float(), model.input_shape[1:])
        wanted = reach(image[None].to(model.dtype))[layer].double()
        apart = (reach(model.normalised(shown).to(model.dtype))[layer].double() - wanted).flatten(1).norm(dim=1)
        return [float(one) for one in apart / wanted.norm().clamp(min=torch.finfo(torch.float64).tiny)]


def _shift(inputs: Tensor, down: int, across: int) -> Tensor:
    """Shift pictures (f, c, h, w) by whole pixels; what comes in repeats the edge."""
    for dim, shift in ((2, down), (3, across)):
        side = inputs.shape[dim]
        inputs = inputs.index_select(dim, (torch.arange(side, device=inputs.device) - shift).clamp(0, side - 1))
    return inputs


def _measure(reached: Activations, layer: str, numbers: tuple[int, ...]) -> Tensor:
    """Mean, maximum, probability, and mean and maximum before the activation function, float (f, 5)."""
    values = reached[layer].float() if layer else reached.class_scores.float()
    words = f"layer {layer}: unit" if layer else "class"
    flat = (pick_channels(values, numbers, words) if numbers else values).reshape(len(values), -1)
    odds, before = flat.new_zeros(len(values)), flat.new_full((len(values), 1), torch.nan)
    if not layer and numbers:
        odds = pick_channels(reached.class_probabilities.float(), numbers, words)
    if layer and reached.has_before(layer):
        entering = reached.before(layer).float()
        before = (pick_channels(entering, numbers, words) if numbers else entering).reshape(len(values), -1)
    return torch.stack([flat.mean(1), flat.amax(1), odds, before.mean(1), before.amax(1)], 1)
