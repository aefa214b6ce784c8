"""The back-signal: one engine, three rules that differ at the non-linearities alone.

A signal goes back from a number to the image along the graph that autograd recorded of the very operations that ran,
so it does not matter whether they were called as modules or as functions, in place, or twice. With R the signal that
comes to a rectifier f from above and x what f was given:

    gradient   R · f'(x)                                   the derivative
    deconvnet  R · [R > 0]                                 Zeiler & Fergus, 2014, arXiv 1311.2901
    guided     R · f'(x) · [R > 0] · [f'(x) > 0]           Springenberg et al., 2015, arXiv 1412.6806

Rectifiers are ReLU, ReLU6 and other clamps from 0 upwards, thresholds at 0, the larger of a value and 0, LeakyReLU,
PReLU, RReLU, ELU, SELU, CELU, SiLU, GELU, Mish, Hardswish and Softplus. Sigmoid, tanh, softmax and other gates,
products, max pooling (its switches), normalisation and everything linear have their derivative under all three rules.
An operation with a derivative of its own, and one in place on a part of a tensor, hide what they are: for such a network
deconvnet and guided backprop are refused.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction
from torch.autograd.graph import Node

from lurk.errors import LurkError
from lurk.hooks import Alter, altered

Rule = Literal["gradient", "deconvnet", "guided"]
RULES: tuple[Rule, ...] = ("gradient", "deconvnet", "guided")
Gradients = tuple[Tensor | None, ...]

ALWAYS = {
    "Relu",
    "LeakyRelu",
    "PreluKernel",
    "RreluWithNoise",
    "Elu",
    "Celu",
    "Silu",
    "Gelu",
    "Mish",
    "Hardswish",
    "Softplus",
}
FROM_ZERO = {
    "Hardtanh": "_saved_min_val",
    "Clamp": "_saved_min",
    "ClampMin": "_saved_min",
    "Threshold": "_saved_threshold",
}


def back(number: Tensor, image: Tensor, rule: Rule = "gradient", *, keep: bool = False) -> Tensor:
    """Send a signal of 1 from a number, or from each of several, back to the image.

    Args:
        number: float, any shape, computed from the image.
        image: float (n, c, h, w), which requires its gradient.
        rule: `gradient`, `deconvnet` or `guided`.
        keep: Whether the graph is needed again afterwards.

    Returns:
        float (n, c, h, w), what arrives at the image.

    Raises:
        LurkError: The rule is not defined for an operation of the network.
    """
    if rule not in RULES:
        raise LurkError(f"the rules of the back-signal are {', '.join(RULES)}, not {rule!r}")
    alter: dict[Node, Alter] = {}
    if rule != "gradient":
        why = refusal(number)
        if why:
            raise LurkError(f"{rule} cannot be had for this network: {why}")
        change = _deconvnet if rule == "deconvnet" else _guided
        alter = {node: partial(change, at) for node, at in rectifiers(number).items()}
    with altered(alter):
        (signal,) = torch.autograd.grad(number, image, torch.ones_like(number), retain_graph=keep, allow_unused=True)
    return torch.zeros_like(image) if signal is None else signal


def rectifiers(number: Tensor) -> dict[Node, int]:
    """The rectifiers on the way from an image to a number, each with the place of its input among its gradients."""
    found = {node: _rectified(node) for node in nodes(number)}
    return {node: at for node, at in found.items() if at is not None}


def nodes(number: Tensor) -> Iterator[Node]:
    """Every node of the graph behind a number, once."""
    seen: set[Node] = set()
    waiting = [number.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            yield node
            waiting += [before for before, _ in node.next_functions]


def _rectified(node: Node) -> int | None:
    """Place of a rectifier's input among its gradients, None for any other operation."""
    kind = node.name().removeprefix("torch::autograd::").rstrip("0123456789").removesuffix("Backward")
    saved: Any = node
    if kind in ALWAYS:
        return 0
    if kind in FROM_ZERO:
        low = getattr(saved, FROM_ZERO[kind])
        return 0 if isinstance(low, (int, float)) and low == 0 else None
    if kind == "Maximum":
        for at, name in enumerate(("_saved_other", "_saved_self")):
            if node.next_functions[1 - at][0] is None and not bool(getattr(saved, name).any()):
                return at
    return None


def refusal(number: Tensor) -> str:
    """Why the signal of deconvnet and guided backprop is not defined for what computed a number; empty where it is."""
    for node in nodes(number):
        if issubclass(type(node), BackwardCFunction):  # an operation written in Python
            name = type(node).__name__.removesuffix("Backward")
            return f"its operation {name} has a derivative of its own, so it cannot be told whether it rectifies"
        if node.name() == "CopySlices":
            return "it changes a part of a tensor in place, so it cannot be told whether that rectifies"
    return ""


def _deconvnet(at: int, given: Gradients, signal: Gradients) -> Gradients:
    return _with(given, at, None if signal[0] is None else signal[0].clamp(min=0))


def _guided(at: int, given: Gradients, signal: Gradients) -> Gradients:
    below, above = given[at], signal[0]
    return _with(given, at, None if below is None or above is None else below.clamp(min=0) * (above > 0))


def _with(given: Gradients, at: int, value: Tensor | None) -> Gradients:
    return (*given[:at], value, *given[at + 1 :])
