"""The loop of gradient ascent: show the pictures to the network, and change them so that their numbers grow.

Axes: f pictures, c channels, h w pixels.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from lurk.graph.hooks import altered
from lurk.graph.partial_forward import Reach, reaching
from lurk.graph.plan import Plan
from lurk.methods.attribution.rectifiers import Gradients, Rectifier, rectifying
from lurk.methods.feature_vis.objectives import Objective
from lurk.methods.feature_vis.parameterization import Canvas
from lurk.methods.feature_vis.regularizers import Policy, Regularisers, mean_distance, total_variation
from lurk.models.model import Model

Show = Callable[[int, int, Callable[[], Tensor]], None]
View = Callable[[Tensor, torch.Generator], Tensor]

HELPED_STEPS = 16


@dataclass(frozen=True)
class Recipe:
    """How ascent is done.

    Args:
        steps: Number of steps.
        view: Makes of the pictures what the network is shown, float (n, c, height, width) in [0, 1].
        policy: `adam` and `nadam` at a rate; `constant`, the gradient times the rate; `progress`, a step that would
            raise the number by the rate if it were linear; `progress01`, likewise, but for a number that ends at 1 by
            no more than what is left to 1; `normalised`, the rate as the mean change of a sample.
        rate: The rate.
        limit: Largest factor of the gradient under `progress` and `progress01`, 0 for none.
        total_variation: What the total variation counts against the number.
        distance: What the mean distance from the mean colour (L1) counts against it.
        regularisers: What is done to the pictures after each step but the last; None for nothing.
        keep_best: Whether the pictures with the largest number are kept, rather than the last ones.
        seed: Seed of the views.
        watch: Called with the number's derivative with respect to the pictures, float (f, c, h, w), at each step.
    """

    steps: int
    view: View
    policy: Policy = "adam"
    rate: float = 0.05
    limit: float = 0.0
    total_variation: float = 0.0
    distance: float = 0.0
    regularisers: Regularisers | None = None
    keep_best: bool = False
    seed: int = 0
    watch: Callable[[Tensor], None] | None = None


def mean_colour(model: Model, like: Tensor) -> Tensor:
    """The colour that the preprocessing maps to 0, float (c, 1, 1); plain grey where it is not known."""
    channels = like.shape[1]
    numbers = model.mean if model.mean is not None and len(model.mean) == channels else (0.5,) * channels
    return like.new_tensor(numbers).view(-1, 1, 1)


def ascend(model: Model, plan: Plan, objective: Objective, canvas: Canvas, recipe: Recipe, show: Show) -> Tensor:
    """Draw.

    Args:
        model: The model; it is left as it was, also where `show` raises.
        plan: Its layers.
        objective: What is to grow: a number for each view of each picture.
        canvas: What is drawn on.
        recipe: How.
        show: Called after each step with the steps done, the steps in all, and what gives the pictures so far.

    Returns:
        The pictures, float32 (f, c, h, w), in [0, 1].
    """
    chance = torch.Generator().manual_seed(recipe.seed)
    best: _Best | None = _Best() if recipe.keep_best else None
    with reaching(plan, objective.layers, to_the_end=objective.to_the_end) as reach:
        climb = _Climb(model, objective, canvas, recipe, reach)
        for step in range(recipe.steps):
            climb.step(step, chance, best)
            show(step + 1, recipe.steps, lambda: canvas.pictures().detach())
    return best.pictures if best is not None and recipe.steps else canvas.pictures().detach()


class _Best:
    """The pictures with the largest number so far."""

    def __init__(self) -> None:
        self.pictures = self._values = torch.empty(0)

    def add(self, pictures: Tensor, values: Tensor) -> None:
        if not len(self._values):
            self.pictures, self._values = pictures.clone(), values.clone()
            return
        better = values > self._values
        self._values = torch.where(better, values, self._values)
        self.pictures = torch.where(better.view(-1, 1, 1, 1), pictures, self.pictures)


class _Climb:
    """One step after the other."""

    def __init__(self, model: Model, objective: Objective, canvas: Canvas, recipe: Recipe, reach: Reach) -> None:
        self._model, self._objective, self._canvas, self._recipe, self._reach = model, objective, canvas, recipe, reach
        kinds = {"adam": torch.optim.Adam, "nadam": torch.optim.NAdam}
        kind = kinds.get(recipe.policy)
        self._optimiser = None if kind is None else kind([canvas.parameter], lr=recipe.rate, maximize=True)
        regularisers = recipe.regularisers
        self._watched = recipe.watch is not None or (
            regularisers is not None and regularisers.contribution_percentile > 0
        )

    def step(self, step: int, chance: torch.Generator, best: _Best | None) -> None:
        """Do a step."""
        slope, by_picture, values = self._slopes(chance, helped=step < HELPED_STEPS)
        if best is not None:
            best.add(self._canvas.pictures().detach(), values)
        if self._recipe.watch is not None:
            self._recipe.watch(by_picture)
        slope = slope - self._penalties() if self._recipe.total_variation or self._recipe.distance else slope
        self._move(slope, values)
        self._canvas.settle()
        if self._recipe.regularisers is not None and step < self._recipe.steps - 1:
            pictures = self._canvas.pictures().detach()
            mean = mean_colour(self._model, pictures)
            self._canvas.write(self._recipe.regularisers.applied(pictures, by_picture, mean, step).clamp(0, 1))

    def _slopes(self, chance: torch.Generator, *, helped: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Derivatives with respect to the parameter and, where asked for, to the pictures, and the numbers."""
        pictures = self._canvas.pictures()
        shown = self._model.normalised(self._recipe.view(pictures, chance)).to(self._model.dtype)
        values = self._objective.value(self._reach(shown.contiguous(memory_format=torch.channels_last)))
        total = values.sum()
        wanted = [self._canvas.parameter, pictures] if self._watched else [self._canvas.parameter]
        found = _gradients(total, wanted, keep=helped)
        if helped:
            found = _with_help(total, wanted, found)
        numbers = values.detach().float().view(len(pictures), -1).mean(1)
        return found[0], found[-1], numbers

    def _penalties(self) -> Tensor:
        pictures = self._canvas.pictures()
        variation = self._recipe.total_variation * total_variation(pictures)
        distance = self._recipe.distance * mean_distance(pictures, mean_colour(self._model, pictures))
        return torch.autograd.grad((variation + distance).sum(), self._canvas.parameter)[0]

    def _move(self, slope: Tensor, values: Tensor) -> None:
        parameter = self._canvas.parameter
        if self._optimiser is not None:
            parameter.grad = slope
            self._optimiser.step()
            parameter.grad = None
            return
        with torch.no_grad():
            parameter += _factor(self._recipe, slope, values).view(-1, *[1] * (slope.dim() - 1)) * slope


def _factor(recipe: Recipe, slope: Tensor, values: Tensor) -> Tensor:
    """Of each picture what the gradient is multiplied by."""
    if recipe.policy == "constant":
        return torch.full_like(values, recipe.rate)
    tiny = torch.finfo(slope.dtype).tiny
    if recipe.policy == "normalised":
        return recipe.rate / slope.flatten(1).abs().mean(1).clamp(min=tiny)
    wished = torch.full_like(values, recipe.rate)
    if recipe.policy == "progress01":
        wished = torch.minimum(wished, 1 - values)
    found = wished / slope.flatten(1).square().sum(1).clamp(min=tiny)
    return found.clamp(max=recipe.limit) if recipe.limit else found


def _gradients(total: Tensor, wanted: list[Tensor], *, keep: bool) -> list[Tensor]:
    found = torch.autograd.grad(total, wanted, retain_graph=keep, allow_unused=True)
    return [torch.zeros_like(one) if some is None else some for one, some in zip(wanted, found, strict=True)]


def _with_help(total: Tensor, wanted: list[Tensor], found: list[Tensor]) -> list[Tensor]:
    """Where nothing at all comes back to a picture, let the signal through rectifiers that are off (lucid's help)."""
    dead = ~found[0].flatten(1).any(1)
    if not bool(dead.any()):
        return found
    with altered({node: partial(_let_through, one, len(dead)) for node, one in rectifying(total).items()}):
        helped = _gradients(total, wanted, keep=False)
    return [
        torch.where(dead.view(-1, *[1] * (one.dim() - 1)), one, other) for one, other in zip(helped, found, strict=True)
    ]


def _let_through(rectifier: Rectifier, count: int, given: Gradients, signal: Gradients) -> Gradients:
    """Where a rectifier passes nothing on of a picture, pass on what would switch it on."""
    below, above = given[rectifier.at], signal[0]
    if below is None or above is None or rectifier.scale is not None:
        return given
    rows = below.reshape(count if len(below) % count == 0 else 1, -1)
    off = (~rows.any(1)).repeat_interleave(len(below) // len(rows)).view(-1, *[1] * (below.dim() - 1))
    onwards = (above * rectifier.sign).clamp(min=0) * rectifier.sign
    return rectifier.passing(given, torch.where(off, onwards.expand_as(below), below))
