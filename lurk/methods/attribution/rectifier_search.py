"""The rectifiers in an autograd graph, and the operations of which the graph does not show whether they rectify."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction
from torch.autograd.graph import GradientEdge, Node

from lurk.graph.hooks import Alter
from lurk.graph.receptive.rules import words

Gradients = tuple[Tensor | None, ...]
Edge = tuple[Node | None, int]


ALWAYS = words("Relu LeakyRelu PreluKernel RreluWithNoise Elu Celu Silu Gelu Mish Hardswish Softplus")
LOWER = {"Hardtanh": "min_val", "Clamp": "min", "ClampMin": "min", "Threshold": "threshold"}
UPPER = {"Hardtanh": "max_val", "Clamp": "max", "ClampMax": "max"}
LARGER, SMALLER = ("Maximum", "Fmax"), ("Minimum", "Fmin")
GATES = {"Sigmoid", "Hardsigmoid", "Hardtanh", "Clamp", "Tanh", "Erf"}
SCALED = {"Mul", "Div", "Neg", "Clone", "ToCopy"}
POINTWISE = GATES | SCALED | {"Add", "Sub", "Rsub", "Softplus", "Exp", "Log1P", "Pow", "Relu", "ClampMin"}
VIEWS = words("Clone View UnsafeView Permute Transpose Squeeze Unsqueeze Select Slice Expand")
MASKED = {"Where", "MaskedFill", "MaskedScatter", "IndexPut"}


@dataclass(frozen=True)
class Rectifier:
    """An operation that lets through what is above 0, or a product of a value with a gate that is computed from it.

    Args:
        at: Place of its input among the gradients that it passes on.
        sign: 1, or -1 for an operation that lets through what is below 0.
        scale: For a product, the value's derivative by the input; None for a single operation.
        slope: For a product, the gate's derivative by the input.
        gain: What it multiplies large inputs by: 6 for x · relu6(x + 3), of which a sixth is taken afterwards.
    """

    at: int = 0
    sign: int = 1
    scale: Tensor | None = None
    slope: Tensor | None = None
    gain: float = 1.0

    def derivative(self, given: Gradients) -> Tensor | None:
        """Return the signal times the derivative, from the gradients that the node would pass on."""
        own = given[self.at]
        if own is None or self.scale is None or self.slope is None:
            return own
        gate = given[1 - self.at]
        return own * self.scale if gate is None else own * self.scale + gate * self.slope

    def pass_on(self, given: Gradients, value: Tensor) -> Gradients:
        """Return what the node must pass on for a value to arrive at the rectifier's input."""
        if self.scale is None:
            return (*given[: self.at], value, *given[self.at + 1 :])
        parts = [value / self.scale, torch.zeros_like(value)]
        return (parts[self.at], parts[1 - self.at])


def nodes_behind(*numbers: Tensor) -> Iterator[Node]:
    """Yield every node of the graph behind some numbers, once."""
    seen: set[Node] = set()
    waiting = [number.grad_fn for number in numbers]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            yield node
            waiting += [before for before, _ in node.next_functions]


def find_rectifiers(*numbers: Tensor) -> dict[Node, Rectifier]:
    """Find the rectifiers between an image and some numbers; a rectifier inside the gate of another does not count."""
    found: dict[Node, Rectifier] = {}
    inner: set[Node] = set()
    for node in nodes_behind(*numbers):
        product = _product(node)
        single = _single(node)
        if product is not None:
            found[node] = product[0]
            inner |= product[1]
        elif single is not None:
            found[node] = single
    return {node: item for node, item in found.items() if node not in inner}


def operation(node: Node) -> str:
    """Return the name of the operation that a node is the derivative of, such as `Relu`."""
    return node.name().removeprefix("torch::autograd::").rstrip("0123456789").removesuffix("Backward")


def unclear_rectifier(*numbers: Tensor) -> str:
    """Look for an operation of which the graph does not show whether it rectifies.

    Args:
        *numbers: Values that were computed from an image.

    Returns:
        What is unclear, in the words of a message; empty if nothing is.
    """
    for node in nodes_behind(*numbers):
        if issubclass(type(node), BackwardCFunction):  # an operation written in Python
            name = type(node).__name__.removesuffix("Backward")
            return f"its operation {name} has a derivative of its own, so it cannot be told whether it rectifies"
        if operation(node) == "CopySlices":
            return "it changes a part of a tensor in place, so it cannot be told whether that rectifies"
        if operation(node) in MASKED or _is_masked(node):
            return "it chooses values by a mask, so it cannot be told whether that rectifies"
    return ""


def open_upper_bound(value: Tensor) -> dict[Node, Alter]:
    """Let gradients through the upper bound of the activation function that made a value, such as ReLU6's.

    Args:
        value: The output of the function, computed from an image.

    Returns:
        For `altered`: at the bound, the function's node passes on the derivative that it has below the bound. Empty if
        the function has no upper bound.
    """
    node = value.grad_fn
    while node is not None and operation(node) in VIEWS:
        node = node.next_functions[0][0]
    if node is None:
        return {}
    name, high = operation(node), _saved(node, UPPER.get(operation(node), ""))
    high, slope = (3.0, 1 / 6) if name == "Hardsigmoid" else (high, 1.0)
    if not isinstance(high, (int, float, Tensor)):
        return {}
    reached: Tensor = _saved(node, "self") >= high

    def opened(given: Gradients, signal: Gradients) -> Gradients:
        below, above = given[0], signal[0]
        return given if below is None or above is None else (torch.where(reached, above * slope, below), *given[1:])

    return {node: opened}


def _saved(node: Node, name: str) -> Any:
    return getattr(node, f"_saved_{name}", None)


def _single(node: Node) -> Rectifier | None:
    """Return what a node rectifies by itself, or None."""
    name = operation(node)
    if name in ALWAYS or (name in LOWER and _is_zero(_saved(node, LOWER[name]))):
        return Rectifier()
    if name in UPPER and _is_zero(_saved(node, UPPER[name])) and _saved(node, LOWER.get(name, "")) is None:
        return Rectifier(sign=-1)
    if name in LARGER + SMALLER:
        for at, other in enumerate(("other", "self")):
            if node.next_functions[1 - at][0] is None and _is_zero(_saved(node, other)):
                return Rectifier(at, 1 if name in LARGER else -1)
    return None


def _is_zero(bound: object) -> bool:
    return not bool(bound.any()) if isinstance(bound, Tensor) else isinstance(bound, (int, float)) and bound == 0


def _product(node: Node) -> tuple[Rectifier, set[Node]] | None:
    """Return a product of a value with a gate computed from the same value alone, and the nodes of that gate."""
    if operation(node) != "Mul" or len(_live(node)) != 2:
        return None
    for at in (0, 1):
        value, gate = node.next_functions[at], node.next_functions[1 - at]
        for source in _sources(value):
            inner = _between(gate, source)
            if any(operation(part) in GATES for part in inner):
                scale, slope = _slope(value, source), _slope(gate, source)
                return Rectifier(at, scale=scale, slope=slope, gain=_top(gate[0])), inner
    return None


def _top(gate: Node | None) -> float:
    """Return the upper bound of a clamped gate, such as 6; 1 for any other gate."""
    high = None if gate is None else _saved(gate, UPPER.get(operation(gate), ""))
    return float(high) if isinstance(high, (int, float)) else 1.0


def _sources(edge: Edge) -> Iterator[Edge]:
    """Yield an edge, and those that it is a fixed multiple of."""
    while edge[0] is not None:
        yield edge
        live = _live(edge[0])
        if operation(edge[0]) not in SCALED or len(live) != 1:
            return
        edge = live[0]


def _between(edge: Edge, source: Edge) -> set[Node]:
    """Return the nodes between an edge and its only source, or nothing if one does not work value by value."""
    inner: set[Node] = set()
    waiting = [edge]
    while waiting:
        node, place = waiting.pop()
        if (node, place) == source or node is None or node in inner:
            continue
        live = _live(node)
        if operation(node) not in POINTWISE or not live:
            return set()
        inner.add(node)
        waiting += live
    return inner


def _live(node: Node) -> list[Edge]:
    return [edge for edge in node.next_functions if edge[0] is not None]


def _slope(edge: Edge, source: Edge) -> Tensor:
    """Return the derivative of what an edge carries by what its source carries, value by value."""
    about = edge[0]._input_metadata[edge[1]]  # type: ignore[union-attr]  # of an operation, never None here
    ones = torch.ones(about.shape, dtype=about.dtype, device=about.device)
    if edge == source:
        return ones
    ends = GradientEdge(*edge), GradientEdge(*source)  # type: ignore[arg-type]  # neither is None
    return torch.autograd.grad(ends[0], ends[1], ones, retain_graph=True)[0]


def _is_masked(node: Node) -> bool:
    """Whether a node multiplies by a mask: by booleans, or by zeros and ones of its own shape."""
    if operation(node) != "Mul" or len(_live(node)) != 1 or len(node.next_functions) != 2:
        return False
    factor = _saved(node, "other" if node.next_functions[1][0] is None else "self")
    if not isinstance(factor, Tensor) or factor.dim() == 0:
        return False
    if factor.dtype == torch.bool:
        return True
    full = list(factor.shape) == list(node._input_metadata[0].shape)
    return full and bool(((factor == 0) | (factor == 1)).all()) and bool((factor == 0).any())
