"""Checks which layers give for an image in a batch what they give for it alone, each time, and whether outputs agree.

The scores of a layer that mixes the images of a batch would go to the wrong images.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from math import prod, sqrt

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from lurk.graph.hooks import tapped, watching, watching_inputs
from lurk.graph.layout.tokens import constant_tokens
from lurk.graph.plan import Plan
from lurk.graph.recorder import tensors_in

IMAGES = 3
TOLERANCE = 1e-3
ROUNDING = 16
WHOLE = "the network itself"


@dataclass(frozen=True)
class Checked:
    """What a plan gives for three images.

    Args:
        alone: What the model returns for the first image alone.
        together: What it returns for all three, with gradients if it can.
        kept: Positions of the layers that give for images together what they give for each alone.
        mixes_outputs: Whether the outputs for images together differ from those for each alone.
        memory_format: Order of a batch in memory in which all this was found.
    """

    alone: object
    together: object
    kept: list[int]
    mixes_outputs: bool
    memory_format: torch.memory_format = torch.contiguous_format


@dataclass
class _Run:
    """What a graph gives for some images.

    Args:
        output: What the model returns.
        summaries: Summary of each layer's activation, see `_summary`, by the layer's position.
    """

    output: object = None
    summaries: dict[int, Tensor] = field(default_factory=dict)


@dataclass
class Seen:
    """What was seen of a module and its parts in one forward pass.

    Args:
        output: What the module returned.
        shapes: Shape of the output of each call of a part, by its name, if that is one tensor.
        summaries: Summary of each tensor that a call returned, see `_summary`; the last are those of the module itself.
        constant: The tokens of sequences that are the same for all images, by the length of the sequence.
    """

    output: object = None
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    summaries: dict[str, list[Tensor]] = field(default_factory=dict)
    constant: dict[int, list[int]] = field(default_factory=dict)

    def rows(self, name: str) -> int:
        """Size of the first axis of what a call returned."""
        return self.shapes.get(name, (0,))[0]


def three_images(image: Tensor) -> Tensor:
    """Make three different images of one.

    Args:
        image: float (1, c, h, w).

    Returns:
        float (3, c, h, w).
    """
    return torch.cat([image * scale for scale in (1.0, -0.7, 0.2)]) + image.flip(3) * 0.5


def check(plan: Plan, images: Tensor, own: Sequence[Tensor]) -> Checked | None:
    """Run a plan's graph on the first of three images, on the last, and on all three together.

    The first image is given in channels-last order, and again in row-major order if anything differs.

    Args:
        plan: The model, its graph and its layers.
        images: float (3, c, h, w); see `three_images`.
        own: What the module itself returns for the first image.

    Returns:
        What it gives; None if it does not run, or does not return for the first image what the module itself does.
    """
    last, together = (_run(plan, batch) for batch in (images[-1:], images))
    if last is None or together is None:
        return None
    near, found = _nearness(images.dtype), list[Checked]()
    for memory_format in (torch.channels_last, torch.contiguous_format):
        first = _run(plan, images[:1].contiguous(memory_format=memory_format))
        if first is None or not agree(own, tensors_in(first.output)):
            continue
        each = range(len(plan.layers))
        alone = first.summaries, last.summaries
        kept = [at for at in each if _is_independent([one.get(at) for one in alone], together.summaries.get(at), near)]
        mixes = _are_mixed([first.output, last.output, together.output], near)
        found.append(Checked(first.output, together.output, kept, mixes, memory_format))
        if len(kept) == len(plan.layers) and not mixes:
            break
    return max(found, key=lambda checked: (len(checked.kept), not checked.mixes_outputs), default=None)


def _run(plan: Plan, batch: Tensor) -> _Run | None:
    """Run a plan's graph; None if it does not run."""
    run = _Run()

    def receive(at: int, activation: Tensor) -> None:
        run.summaries[at] = _summary(activation, len(activation))

    try:
        with tapped(plan, receive, only_fitting=True) as forward:
            run.output = (_traceably if len(batch) > 1 else _plainly)(forward, batch)
    except Exception:  # a graph may hold for one batch size only
        return None
    return run


def check_seen(plan: Plan, alone: Sequence[Seen], together: Seen, dtype: torch.dtype) -> Checked:
    """Tell of a plan without a graph what `check` tells of one with a graph.

    Args:
        plan: The model and its layers.
        alone: What was seen of the first of three images, and of the last.
        together: What was seen of all three.
        dtype: Type of the images.

    Returns:
        What the model gives.
    """

    def summaries(seen: Seen, name: str) -> Tensor | None:
        return seen.summaries[name][0] if name in seen.shapes else None

    near = _nearness(dtype)
    found = [([summaries(seen, tap.node) for seen in alone], summaries(together, tap.node)) for tap in plan.taps]
    kept = [at for at, (each, batch) in enumerate(found) if _is_independent(each, batch, near)]
    outputs = [seen.output for seen in (*alone, together)]
    return Checked(outputs[0], together.output, kept, _are_mixed(outputs, near))


def _nearness(dtype: torch.dtype) -> float:
    return max(TOLERANCE, ROUNDING * torch.finfo(dtype).eps)


def _are_mixed(outputs: Sequence[object], near: float) -> bool:
    """Whether an output for the first and the last of three images together differs from that for each alone."""
    return any(map(partial(_is_mixed, near), *map(tensors_in, outputs)))


def _is_mixed(near: float, first: Tensor, last: Tensor, together: Tensor) -> bool:
    if together.shape[:1] != (3,) or first.shape[:1] != (1,) or len({first.shape, last.shape, together[:1].shape}) > 1:
        return False
    return not _are_near(torch.cat([first, last]).float(), together[[0, -1]].float(), near)


def _is_independent(alone: Sequence[Tensor | None], together: Tensor | None, near: float) -> bool:
    """Whether a layer gives for the first and the last image of a batch what it gives for each alone."""
    if together is None or len(together) != IMAGES:
        return False
    known = [one for one in alone if one is not None and one.shape == together[:1].shape]
    if len(known) != len(alone):
        return False
    return _are_near(torch.cat(known), together[[0, -1]], near)


def _are_near(expected: Tensor, found: Tensor, near: float) -> bool:
    size = expected.abs().nan_to_num(0.0, 0.0, 0.0).max() if expected.numel() else 0.0
    return torch.allclose(expected, found, rtol=near, atol=float(near * size), equal_nan=True)


def agree(one: Sequence[Tensor], two: Sequence[Tensor]) -> bool:
    """Whether two outputs of a model are the same but for rounding."""
    return bool(one) and len(one) == len(two) and all(_agrees(a, b) for a, b in zip(one, two, strict=True))


def _agrees(one: Tensor, two: Tensor) -> bool:
    if one.shape != two.shape or one.dtype != two.dtype:
        return False
    size = float(one.abs().max()) if one.numel() and one.is_floating_point() else 0.0
    tolerance = 1e-5 * size if size < float("inf") else 1e-5
    return torch.allclose(one, two, rtol=1e-4, atol=tolerance, equal_nan=True)


def watch(module: nn.Module, batch: Tensor) -> Seen:
    """Run a module, and summarise what each of its parts returns.

    Args:
        module: The module, in evaluation mode.
        batch: float (n, c, h, w).

    Returns:
        What was seen.
    """
    seen, images = Seen(), len(batch)

    def see_tokens(given: object) -> None:
        for value in tensors_in(given):
            if value.dim() == 3 and len(value) == images:
                seen.constant[value.shape[1]] = seen.constant.get(value.shape[1]) or constant_tokens(value.detach())

    def see(name: str, output: object) -> None:
        seen.summaries[name] = [_summary(value, images) for value in tensors_in(output)]
        if isinstance(output, Tensor) and output.is_floating_point():
            seen.shapes[name] = tuple(output.shape)
            see_tokens(output)

    def forward(batch: Tensor) -> object:
        for table in (seen.shapes, seen.summaries, seen.constant):
            table.clear()
        with (
            watching(module, {name for name, _ in module.named_modules() if name}, see),
            watching_inputs(module, see_tokens),
        ):
            output: object = module(batch)
        return output

    seen.output = (_traceably if images > 1 else _plainly)(forward, batch)
    seen.summaries[WHOLE] = [_summary(value, images) for value in tensors_in(seen.output)]
    return seen


def _plainly(forward: Callable[[Tensor], object], batch: Tensor) -> object:
    with torch.no_grad():
        return forward(batch.clone())


def _traceably(forward: Callable[[Tensor], object], batch: Tensor) -> object:
    """Run with gradients, which tell what made the output, but keep nothing for them; without if that fails."""
    try:
        with torch.enable_grad(), saved_tensors_hooks(_forget, _forget):
            return forward(batch.clone().requires_grad_().clone())  # a copy may be changed in place
    except Exception:  # the user's own code: it may not work with gradients
        return _plainly(forward, batch)


def _forget(value: Tensor) -> Tensor:
    return value.new_empty(0)


@torch.no_grad()
def _summary(value: Tensor, images: int) -> Tensor:
    """Summarise what each image has in a value: a sum over the positions of each channel, with fixed random weights.

    Args:
        value: Any tensor, with the images on its first axis.
        images: Number of images.

    Returns:
        float (images, numbers); (1, numbers) if the first axis cannot hold the images.
    """
    if value.is_nested or value.layout is not torch.strided or not value.numel():
        return torch.zeros(0, 0)
    count = images if value.dim() and len(value) % images == 0 else 1
    maps = (
        (value.detach().abs() if value.is_complex() else value.detach())
        .float()
        .reshape(count, -1, prod(value.shape[2:]))
    )
    weights = _random_weights(maps.shape[2], maps.device)
    found = torch.mv(maps.flatten(0, 1), weights)
    if not found.isfinite().all():
        found = torch.mv(maps.nan_to_num(0, 1, -1).flatten(0, 1), weights)
    return found.view(count, -1)


@cache
def _random_weights(count: int, device: torch.device) -> Tensor:
    return (torch.randn(count, generator=torch.Generator().manual_seed(0)) / sqrt(count)).to(device)


def random_part(one: Seen, two: Seen) -> str:
    """Find the first part of a network whose output differs between two runs on the same images.

    Args:
        one: The first run.
        two: The second one.

    Returns:
        Its dotted name, `the network itself` if its own code is random; empty if the network answers alike.
    """
    for (name, first), (_, second) in zip(one.summaries.items(), two.summaries.items(), strict=False):
        if len(first) != len(second) or not all(map(_repeats, first, second)):
            return name
    return ""


def _repeats(one: Tensor, two: Tensor) -> bool:
    return one.shape == two.shape and torch.allclose(one, two, rtol=1e-3, atol=1e-6, equal_nan=True)
