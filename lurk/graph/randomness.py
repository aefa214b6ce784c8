"""Which part of a network answers differently each time, in evaluation mode and for the same images."""

from functools import partial

import torch
from torch import Tensor, nn

from lurk.graph.hooks import watching
from lurk.graph.recorder import tensors_in


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
        with (
            torch.no_grad(),
            watching(
                module,
                names,
                partial(_keep, seen),
            ),
        ):
            output = module(images.clone())
        runs.append([*seen, ("the network itself", tensors_in(output))])
    for (name, one), (_, two) in zip(*runs, strict=False):
        if len(one) != len(two) or not all(map(_equal, one, two)):
            return name
    return ""


def _keep(seen: list[tuple[str, list[Tensor]]], name: str, output: object) -> None:
    seen.append((name, [one.clone() for one in tensors_in(output)]))


def _equal(one: Tensor, two: Tensor) -> bool:
    return one.shape == two.shape and torch.allclose(one, two, rtol=1e-3, atol=1e-6, equal_nan=True)
