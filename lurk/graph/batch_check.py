"""A check that each activation of a layer belongs to one image of the batch, in the order of the images.

A network may stack views of an image along the batch axis, put tokens first, or apply a layer to a table of its own.
For a batch, such a layer does not give what it gives for each image alone: its scores would go to the wrong images.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from lurk.graph.hooks import tapped
from lurk.graph.plan import Plan

IMAGES = 3
TOLERANCE = 1e-3
Summaries = dict[int, Tensor]


def independent_layers(plan: Plan, probe: Tensor) -> list[int] | None:
    """Find the layers that give for three images together what they give for each alone.

    Args:
        plan: The model and its layers.
        probe: float (n, c, h, w); the first image is used.

    Returns:
        Positions of those layers in `plan.layers`, or None if the model cannot run on three images at once.
    """
    first = probe[:1]
    three = torch.cat([first * scale for scale in (1.0, -0.7, 0.2)]) + first.flip(3) * 0.5
    try:
        alone = [_summarise(plan, three[i : i + 1]) for i in range(IMAGES)]
        together = _summarise(plan, three)
    except Exception:  # the model is the user's code, and a layer may not fit the layout that it was taken to have
        return _one_by_one(plan, probe)
    return [at for at in range(len(plan.layers)) if _is_independent(at, together, alone)]


def _one_by_one(plan: Plan, probe: Tensor) -> list[int] | None:
    if len(plan.layers) == 1:
        return None
    single = [replace(plan, layers=(layer,), taps=(tap,)) for layer, tap in zip(plan.layers, plan.taps, strict=True)]
    kept = [at for at, part in enumerate(single) if independent_layers(part, probe)]
    return kept or None


def _summarise(plan: Plan, batch: Tensor) -> Summaries:
    """Summarise each layer for each image by the spatial max and mean of every channel, float32 (n, 2c)."""
    found: Summaries = {}

    def receive(at: int, activation: Tensor) -> None:
        flat = activation.detach().float().flatten(2)
        found[at] = torch.cat([flat.amax(2), flat.mean(2)], 1)

    with torch.no_grad(), tapped(plan, receive) as forward:
        forward(batch.clone())
    return found


def _is_independent(at: int, together: Summaries, alone: Sequence[Summaries]) -> bool:
    if at not in together or len(together[at]) != IMAGES or any(at not in summaries for summaries in alone):
        return False
    expected = torch.cat([summaries[at] for summaries in alone])
    if expected.shape != together[at].shape:
        return False
    size = expected.abs().nan_to_num(0.0, 0.0, 0.0).max() if expected.numel() else 0.0
    return torch.allclose(expected, together[at], rtol=TOLERANCE, atol=float(TOLERANCE * size), equal_nan=True)
