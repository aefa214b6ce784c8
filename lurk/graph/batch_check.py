"""Checks which layers give for an image in a batch what they give for it alone, each time, and whether outputs agree.

The scores of a layer that mixes the images of a batch would go to the wrong images.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from lurk.graph.hooks import tapped, watching
from lurk.graph.plan import Plan
from lurk.graph.recorder import tensors_in

TOLERANCE = 1e-3
ROUNDING = 16
Summaries = dict[int, Tensor]


@dataclass(frozen=True)
class Checked:
    """What a plan gives for three images.

    Args:
        outputs: The outputs for the first image alone.
        kept: Positions of the layers that give for images together what they give for each alone; None if the model
            cannot run on three images at once.
        mixes_outputs: Whether the outputs for images together differ from those for each alone.
    """

    outputs: list[Tensor]
    kept: list[int] | None
    mixes_outputs: bool = False


def three_images(image: Tensor) -> Tensor:
    """Make three different images of one.

    Args:
        image: float (1, c, h, w).

    Returns:
        float (3, c, h, w).
    """
    return torch.cat([image * scale for scale in (1.0, -0.7, 0.2)]) + image.flip(3) * 0.5


def check(plan: Plan, images: Tensor) -> Checked | None:
    """Run a plan on the first image, on the last, and on all three together.

    Args:
        plan: The model and its layers.
        images: float (3, c, h, w).

    Returns:
        What it gives; None if the graph does not run.
    """
    runs: list[Summaries] = []

    def receive(at: int, activation: Tensor) -> None:
        if activation.numel():
            flat = activation.detach().float().flatten(2)
            runs[-1][at] = torch.cat([flat.amax(2), flat.mean(2)], 1)

    outputs: list[list[Tensor]] = []
    try:
        with torch.no_grad(), tapped(plan, receive, only_fitting=True) as forward:
            for batch in (images[:1], images[-1:], images):
                runs.append({})
                outputs.append(tensors_in(forward(batch.clone())))
    except Exception:  # the model is the user's code, and a graph may hold for one batch size only
        return Checked(outputs[0], None) if outputs else None
    *alone, together = runs
    near = max(TOLERANCE, ROUNDING * torch.finfo(images.dtype).eps)
    kept = [at for at in range(len(plan.layers)) if _is_independent(at, together, alone, near)]
    return Checked(outputs[0], kept, any(map(partial(_is_mixed, near), *outputs)))


def _is_mixed(near: float, first: Tensor, last: Tensor, together: Tensor) -> bool:
    """Whether an output for the first and the last of three images differs from that for each alone."""
    if together.shape[:1] != (3,) or first.shape[:1] != (1,) or len({first.shape, last.shape, together[:1].shape}) > 1:
        return False
    return not _are_near(torch.cat([first, last]).float(), together[[0, -1]].float(), near)


def _is_independent(at: int, together: Summaries, alone: Sequence[Summaries], near: float) -> bool:
    """Whether a layer gives for the first and the last image of a batch what it gives for each alone."""
    if at not in together or any(at not in summaries for summaries in alone):
        return False
    expected = torch.cat([summaries[at] for summaries in alone])
    found = together[at][[0, -1]]
    if len(together[at]) != 3 or expected.shape != found.shape:
        return False
    return _are_near(expected, found, near)


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


def random_part(module: nn.Module, images: Tensor) -> str:
    """Find the first part of a network whose output differs between two runs on the same images.

    Args:
        module: The network, in evaluation mode.
        images: float (n, c, h, w).

    Returns:
        Its dotted name, `the network itself` if its own code is random; empty if the network answers alike.
    """
    runs: list[list[tuple[str, list[Tensor]]]] = []
    for _ in range(2):
        seen: list[tuple[str, list[Tensor]]] = []
        names = {name for name, _ in module.named_modules() if name}
        with torch.no_grad(), watching(module, names, partial(_keep, seen)):
            output = module(images.clone())
        runs.append([*seen, ("the network itself", tensors_in(output))])
    for (name, one), (_, two) in zip(runs[0], runs[1], strict=False):
        if len(one) != len(two) or not all(map(_repeats, one, two)):
            return name
    return ""


def _keep(seen: list[tuple[str, list[Tensor]]], name: str, output: object) -> None:
    seen.append((name, [one.clone() for one in tensors_in(output)]))


def _repeats(one: Tensor, two: Tensor) -> bool:
    return one.shape == two.shape and torch.allclose(one, two, rtol=1e-3, atol=1e-6, equal_nan=True)
