"""The loop of gradient ascent: show the pictures to the network, and change them so that their numbers grow.

Axes: f pictures, c samples of a pixel, h w pixels.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lurk.errors import LurkError
from lurk.graph.faster.folding import folded
from lurk.graph.hooks import altered
from lurk.graph.partial_forward import PartialForward, partial_forward
from lurk.graph.plan import Plan
from lurk.methods import Show
from lurk.methods.attribution.blank_map import CUT
from lurk.methods.attribution.rectifier_search import Gradients, Rectifier, find_rectifiers
from lurk.methods.feature_vis.narrowing import narrowed
from lurk.methods.feature_vis.objectives import Objective
from lurk.methods.feature_vis.parameterization import Parameterization
from lurk.methods.feature_vis.regularizers import Policy, Regularizers, mean_distance, total_variation
from lurk.models.model import Model

View = Callable[[Tensor, torch.Generator], Tensor]

REDIRECTED_STEPS = 16


@dataclass(frozen=True)
class AscentSettings:
    """How ascent is done.

    Args:
        steps: Number of steps.
        view: Turns the pictures into what the network is shown, float (n, c, height, width) in [0, 1].
        policy: `adam` and `nadam` at a rate; `constant`, the gradient times the rate; `progress`, a step that would
            raise the number by the rate if it were linear; `progress01`, likewise, but no further than to 1;
            `normalized`, a step that changes a sample by the rate on average.
        rate: The rate.
        limit: Largest factor of the gradient under `progress` and `progress01`, 0 for none.
        total_variation: What the total variation counts against the number.
        distance: What the mean distance from the mean colour (L1) counts against it.
        regularizers: Applied to the pictures after each step but the last; None for none.
        keep_best: Whether the pictures with the largest number are kept, rather than the last ones.
        seed: Seed of the views.
        watch: Called with the number's derivative with respect to the pictures, float (f, c, h, w), at each step.
        kept: Holds the ascent, so that after `show` has raised, the same call with the same dict goes on from there
            and draws what it would have drawn otherwise. None if it is not to go on.
    """

    steps: int
    view: View
    policy: Policy = "adam"
    rate: float = 0.05
    limit: float = 0.0
    total_variation: float = 0.0
    distance: float = 0.0
    regularizers: Regularizers | None = None
    keep_best: bool = False
    seed: int = 0
    watch: Callable[[Tensor], object] | None = None
    kept: dict[str, Any] | None = None


def mean_colour(model: Model, like: Tensor) -> Tensor:
    """Return the colour that the preprocessing maps to 0, or the nearest one, float (s, 1, 1)."""
    return model.displayed(like.new_zeros(model.input_shape[0], 1, 1))


def show_part(show: Show, part: int, parts: int) -> Show:
    """Return what shows the progress of one of several equally long parts as a share of the whole."""
    return lambda done, total, pictures: show(part * total + done, parts * total, pictures)


def ascend(
    model: Model, plan: Plan, objective: Objective, drawing: Parameterization, settings: AscentSettings, show: Show
) -> Tensor:
    """Draw.

    Args:
        model: The model; it is left as it was, also if `show` raises.
        plan: Its layers.
        objective: What is to grow: a number for each view of each picture.
        drawing: The pictures to begin with, and what is changed to change them.
        settings: How ascent is done.
        show: Called after each step with the steps done, the steps in all, and a function that returns the pictures.

    Returns:
        The pictures, float32 (f, c, h, w), in [0, 1].
    """
    with partial_forward(_lean(plan, objective), objective.layers, to_the_end=objective.to_the_end) as reach:
        ascent = _Ascent(model, objective, drawing, settings)
        if settings.kept is not None:
            ascent = settings.kept.setdefault("ascent", ascent)
        while ascent.done < settings.steps:
            ascent.step(reach)
            show(ascent.done, settings.steps, ascent.pictures)
    if ascent.drawing is not drawing:
        with torch.no_grad():
            drawing.parameter.copy_(ascent.drawing.parameter)
    return ascent.pictures() if ascent.best is None else ascent.best[0]


def _lean(plan: Plan, objective: Objective) -> Plan:
    """A plan that gives what an objective reads with less work."""
    wanted = [at for at, info in enumerate(plan.layers) if info.name in objective.layers]
    if len(wanted) < len(set(objective.layers)):  # `partial_forward` says which it does not have
        return plan
    chosen = replace(plan, layers=tuple(plan.layers[at] for at in wanted), taps=tuple(plan.taps[at] for at in wanted))
    lean = folded(chosen, to_the_end=objective.to_the_end)
    return narrowed(lean, objective.layers[0], objective.units) if objective.units else lean


class _Ascent:
    """One step after the other."""

    def __init__(
        self,
        model: Model,
        objective: Objective,
        drawing: Parameterization,
        settings: AscentSettings,
    ) -> None:
        self._model, self._objective, self.drawing = model, objective, drawing
        self._settings, self._regularizers = settings, settings.regularizers
        self._generator = torch.Generator().manual_seed(settings.seed)
        kind = {"adam": torch.optim.Adam, "nadam": torch.optim.NAdam}.get(settings.policy)
        self._optimizer = None if kind is None else kind([drawing.parameter], lr=settings.rate, maximize=True)
        self._needs_slope = settings.watch is not None or (
            self._regularizers is not None and self._regularizers.contribution_percentile > 0
        )
        self.best: tuple[Tensor, Tensor] | None = None  # pictures and numbers, if the best ones are kept
        self.done = 0

    def pictures(self) -> Tensor:
        """The pictures so far, float32 (f, c, h, w)."""
        return self.drawing.pictures().detach()

    def step(self, reach: PartialForward) -> None:
        """Do the next step."""
        gradient, slope, values = self._differentiate(reach, redirect=self.done < REDIRECTED_STEPS)
        if self._settings.keep_best:
            self._keep_best(values)
        if self._settings.watch is not None:
            self._settings.watch(slope)
        if self._settings.total_variation or self._settings.distance:
            gradient = gradient - self._penalty_gradient()
        self._move(gradient, values)
        self.drawing.project()
        if self._regularizers is not None and self.done < self._settings.steps - 1:
            pictures = self.pictures()
            mean = mean_colour(self._model, pictures)
            self.drawing.write(self._regularizers.apply(pictures, slope, mean, self.done).clamp(0, 1))
        self.done += 1

    def _keep_best(self, values: Tensor) -> None:
        pictures = self.pictures()
        if self.best is None:
            self.best = pictures.clone(), values.clone()
            return
        better = values > self.best[1]
        self.best = (
            torch.where(better.view(-1, 1, 1, 1), pictures, self.best[0]),
            torch.where(better, values, self.best[1]),
        )

    def _differentiate(self, reach: PartialForward, *, redirect: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Derivatives with respect to the parameter and, if they are needed, to the pictures, and the numbers."""
        pictures = self.drawing.pictures()
        shown = self._model.normalised(self._settings.view(pictures, self._generator)).to(self._model.dtype)
        values = self._objective.value(reach(shown))
        total = values.sum()
        inputs = [self.drawing.parameter, pictures] if self._needs_slope else [self.drawing.parameter]
        found = _gradients(total, inputs, keep=redirect)
        if redirect:
            found = _redirect_dead(total, inputs, found)
        numbers = values.detach().float().view(len(pictures), -1).mean(1)
        return found[0], found[-1], numbers

    def _penalty_gradient(self) -> Tensor:
        pictures = self.drawing.pictures()
        variation = self._settings.total_variation * total_variation(pictures)
        distance = self._settings.distance * mean_distance(pictures, mean_colour(self._model, pictures))
        return torch.autograd.grad((variation + distance).sum(), self.drawing.parameter)[0]

    def _move(self, gradient: Tensor, values: Tensor) -> None:
        parameter = self.drawing.parameter
        if self._optimizer is not None:
            parameter.grad = gradient
            self._optimizer.step()
            parameter.grad = None
            return
        with torch.no_grad():
            parameter += _factor(self._settings, gradient, values).view(-1, *[1] * (gradient.dim() - 1)) * gradient


def _factor(settings: AscentSettings, gradient: Tensor, values: Tensor) -> Tensor:
    """What the gradient of each picture is multiplied by, float (f,)."""
    if settings.policy == "constant":
        return torch.full_like(values, settings.rate)
    tiny = torch.finfo(gradient.dtype).tiny
    if settings.policy == "normalized":
        return settings.rate / gradient.flatten(1).abs().mean(1).clamp(min=tiny)
    wanted = torch.full_like(values, settings.rate)
    if settings.policy == "progress01":
        wanted = torch.minimum(wanted, 1 - values)
    found = wanted / gradient.flatten(1).square().sum(1).clamp(min=tiny)
    return found.clamp(max=settings.limit) if settings.limit else found


def _gradients(total: Tensor, inputs: list[Tensor], *, keep: bool) -> list[Tensor]:
    if total.grad_fn is None:
        raise LurkError(f"nothing can be drawn: {CUT}")
    found = torch.autograd.grad(total, inputs, retain_graph=keep, allow_unused=True)
    return [torch.zeros_like(one) if some is None else some for one, some in zip(inputs, found, strict=True)]


def _redirect_dead(total: Tensor, inputs: list[Tensor], found: list[Tensor]) -> list[Tensor]:
    """Let the signal of a picture to which no gradient at all comes back through rectifiers that are off, as lucid."""
    dead = ~found[0].flatten(1).any(1)
    if not bool(dead.any()):
        return found
    with altered({node: partial(_let_through, one, len(dead)) for node, one in find_rectifiers(total).items()}):
        redirected = _gradients(total, inputs, keep=False)
    return [
        torch.where(dead.view(-1, *[1] * (one.dim() - 1)), one, other)
        for one, other in zip(redirected, found, strict=True)
    ]


def _let_through(rectifier: Rectifier, count: int, given: Gradients, signal: Gradients) -> Gradients:
    """If a rectifier passes on nothing of a picture, pass on what would switch it on."""
    below, above = given[rectifier.at], signal[0]
    if below is None or above is None or rectifier.scale is not None:
        return given
    rows = below.reshape(count if len(below) % count == 0 else 1, -1)
    off = (~rows.any(1)).repeat_interleave(len(below) // len(rows)).view(-1, *[1] * (below.dim() - 1))
    onwards = (above * rectifier.sign).clamp(min=0) * rectifier.sign
    return rectifier.pass_on(given, torch.where(off, onwards.expand_as(below), below))
