"""What a drawn picture really reaches: measured on the picture alone, and after it has been shifted a little."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lurk.errors import LurkError

if TYPE_CHECKING:
    from torch import Tensor

    from lurk.graph.partial_forward import Reached
    from lurk.graph.plan import Plan
    from lurk.models.model import Model

SHIFTS = 8
FARTHEST = 8
AT_ONCE = 16


@dataclass(frozen=True)
class Figures:
    """What a picture reaches, as the network's input and with nothing else done to it.

    Args:
        reached_mean: Mean of the unit over its map; of a class, its score.
        reached_max: Its largest value; of a class, its score.
        after_jitter_mean: The mean once more, averaged over 8 random shifts of up to 8 pixels (a quarter of
            the side, where that is less), four and their opposites.
        after_jitter_max: The largest value once more, averaged likewise.
        probability: Of a class, what the softmax of the scores gives it; None for a unit.
        after_jitter_probability: That once more, averaged likewise; None for a unit.
    """

    reached_mean: float
    reached_max: float
    after_jitter_mean: float
    after_jitter_max: float
    probability: float | None = None
    after_jitter_probability: float | None = None


def figures(
    model: "Model", plan: "Plan", layer: str, unit_numbers: Sequence[int], pictures: "Tensor", *, seed: int = 0
) -> list[Figures]:
    """Measure pictures.

    Args:
        model: The model; it is left as it was.
        plan: Its layers.
        layer: Name of the layer; empty for pictures of classes.
        unit_numbers: Of each picture, the channel or class; empty for pictures of a layer as a whole.
        pictures: float (f, c, h, w), in [0, 1], of any size.
        seed: Seed of the shifts, which are the same for all pictures.

    Returns:
        Of each picture, its figures.

    Raises:
        LurkError: There are not as many numbers as pictures, or no such unit.
    """
    import torch

    from lurk.graph.device import device_of
    from lurk.graph.partial_forward import reaching
    from lurk.methods.feature_vis.transforms import resized

    if unit_numbers and len(unit_numbers) != len(pictures):
        raise LurkError(f"{len(pictures)} pictures need as many units, not {len(unit_numbers)}")
    chance = torch.Generator().manual_seed(seed)
    height, width = model.input_shape[1:]
    farthest = torch.tensor([[min(FARTHEST, height // 4), min(FARTHEST, width // 4)]])
    drawn = ((torch.rand(SHIFTS // 2, 2, generator=chance) * 2 - 1) * (farthest + 0.5)).round().int()
    shifts = [(0, 0), *drawn.tolist(), *(-drawn).tolist()]  # each with its opposite, so that no side is favoured
    found = []
    with reaching(plan, [layer] if layer else [], to_the_end=not layer) as reach, torch.no_grad():
        for start in range(0, len(pictures), AT_ONCE):
            shown = resized(pictures[start : start + AT_ONCE].to(device_of(model.module)).float(), (height, width))
            numbers = list(unit_numbers[start : start + AT_ONCE])
            inputs = model.normalised(shown).to(model.dtype)
            found.append(torch.stack([_measured(reach(_shifted(inputs, *shift)), layer, numbers) for shift in shifts]))
    values = torch.cat(found, 1).cpu()
    clean, moved = values[0].tolist(), values[1:].mean(0).tolist()
    is_class = not layer
    return [
        Figures(one[0], one[1], two[0], two[1], one[2] if is_class else None, two[2] if is_class else None)
        for one, two in zip(clean, moved, strict=True)
    ]


def relative_distance(model: "Model", plan: "Plan", layer: str, image: "Tensor", pictures: "Tensor") -> list[float]:
    """How far a layer's activations for pictures are from those for an image: inversion's figure of merit.

    Args:
        model: The model; it is left as it was.
        plan: Its layers.
        layer: Name of the layer.
        image: float (c, h, w), preprocessed.
        pictures: float (f, c, h, w), in [0, 1], of any size.

    Returns:
        Of each picture, the distance divided by the length of what the image gives: 0 where they are equal.
    """
    import torch

    from lurk.graph.partial_forward import reaching
    from lurk.methods.feature_vis.transforms import resized

    height, width = model.input_shape[1:]
    with reaching(plan, [layer]) as reach, torch.no_grad():
        inputs = model.normalised(resized(pictures.to(image.device).float(), (height, width))).to(model.dtype)
        wanted = reach(image[None].to(model.dtype))[layer].double()
        apart = (reach(inputs)[layer].double() - wanted).flatten(1).norm(dim=1)
        return [float(one) for one in apart / wanted.norm().clamp(min=torch.finfo(torch.float64).tiny)]


def _shifted(inputs: "Tensor", down: int, across: int) -> "Tensor":
    """Shift pictures (f, c, h, w) by whole pixels; what comes in repeats the edge."""
    import torch

    for dim, shift in ((2, down), (3, across)):
        side = inputs.shape[dim]
        inputs = inputs.index_select(dim, (torch.arange(side, device=inputs.device) - shift).clamp(0, side - 1))
    return inputs


def _measured(reached: "Reached", layer: str, numbers: list[int]) -> "Tensor":
    """Of each picture its mean, its maximum and its probability, float (f, 3)."""
    import torch

    values = reached[layer].float() if layer else reached.logits.float()
    wrong = [number for number in numbers if not 0 <= number < values.shape[1]]
    if wrong:
        words = f"layer {layer}: unit" if layer else "class"
        raise LurkError(f"{words} must be from 0 to {values.shape[1] - 1}, not {wrong[0]}")
    at = torch.arange(len(numbers), device=values.device), torch.tensor(numbers, device=values.device)
    chosen = values[at] if numbers else values
    flat = chosen.reshape(len(values), -1)
    odds = flat.new_zeros(len(values)) if layer or not numbers else values.softmax(1)[at]
    return torch.stack([flat.mean(1), flat.amax(1), odds], 1)
