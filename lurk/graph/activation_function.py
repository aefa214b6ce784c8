"""What an activation function does to a value: measured on a grid of values, whatever it is called and made of."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, fx
from torch.fx.node import Argument

from lurk.graph.plan import result

NEAR = torch.arange(-2000, 2001, dtype=torch.float64) / 100
FAR = torch.logspace(1.33, 4.5, 60, dtype=torch.float64)  # from 21 to 32,000, which float16 holds
GRID = torch.cat([-FAR.flip(0), NEAR, FAR])
SMALL = torch.logspace(-40, 40, 161, dtype=torch.float64)
EDGES = torch.cat([-SMALL.flip(0), SMALL, torch.tensor([-torch.inf, torch.inf, torch.nan], dtype=torch.float64)])
PLATEAU = 20
ROUNDING = 4
LEAST_STEP = 1e-6

Attribute = Callable[[str], object]


@dataclass(frozen=True)
class Function:
    """An activation function in a graph.

    Args:
        before: The node whose value enters it.
        nodes: The nodes that compute it, in order; the last one gives its result.
    """

    before: fx.Node
    nodes: tuple[fx.Node, ...]


@dataclass(frozen=True)
class Behaviour:
    """How a function behaves, in every channel.

    Args:
        monotone: Whether a higher value never gives a lower one.
        rectified: Whether it is never below 0, and exactly 0 up to some value from which on it clearly rises.
        bound: The upper bound, if it is reached exactly; None if there is none.
        lower_bound: The lower bound, if it is reached exactly and there is an upper one, but not of a rectifier.
        threshold: The value up to which a rectifier gives 0, to one step of the grid; the lowest of all channels.
        cut: What values are cut off at, below and above (infinite for not at all), if the function does nothing else
            to any value that was tried, to the last bit; else None.
    """

    monotone: bool = False
    rectified: bool = False
    bound: float | None = None
    lower_bound: float | None = None
    threshold: float = 0.0
    cut: tuple[float, float] | None = None


UNKNOWN = Behaviour()


def behaviour(function: Function, entering: Sequence[fx.Node], attribute: Attribute, like: Tensor) -> Behaviour:
    """Run a function on a grid of values from -32,000 to 32,000, in steps of 0.01 between -20 and 20.

    Args:
        function: The function.
        entering: Every node that stands for the value that enters it.
        attribute: Returns the weight or module of a dotted name.
        like: Tensor of the function's type and device, with as many elements along an axis as the value has channels
            if the axis is that of the channels, and 1 along every other axis.

    Returns:
        How it behaves; `UNKNOWN` if it cannot be run on other values than the network's own.
    """
    along = max(dim for dim, size in enumerate(like.shape) if size == 1)
    shape = [-1 if dim == along else 1 for dim in range(like.dim())]

    def found(values: Tensor) -> Tensor:
        given = (values.view(shape) + torch.zeros_like(like)).contiguous()
        result = _run(function, dict.fromkeys(entering, given), attribute).movedim(along, 0)
        if len(result) != len(values):
            raise ValueError("the function gives another number of values")
        return result.flatten(1)

    try:
        described = _described(found(GRID.to(like)).double(), ROUNDING * torch.finfo(like.dtype).eps)
    except Exception:  # the user's code, on a value of another shape
        return UNKNOWN
    with suppress(Exception):  # as above, and on infinity
        return replace(described, cut=_cut(torch.cat([GRID, EDGES]).to(like), found))
    return described


def _cut(values: Tensor, found: Callable[[Tensor], Tensor]) -> tuple[float, float] | None:
    """Return what a function cuts values off at, the last three of which are -inf, inf and NaN."""
    results = found(values)
    low, high = float(results[-3, 0]), float(results[-2, 0])
    is_cut = low <= high and torch.allclose(
        results, values.clamp(low, high)[:, None].expand_as(results), rtol=0, atol=0, equal_nan=True
    )
    return (low, high) if is_cut else None


def _described(found: Tensor, rounding: float) -> Behaviour:
    """Describe the values of a function on the grid, float64 (grid, channels)."""
    monotone = bool((found[1:] >= found[:-1] - rounding * found[:-1].abs()).all())
    upper, lower = _plateau(found[-PLATEAU:]), _plateau(found[:PLATEAU])
    first = torch.where(found > 0, found, torch.inf).amin(0)
    rectified = lower == 0 and bool((found >= 0).all()) and bool((first >= LEAST_STEP).all()) and upper != 0
    threshold = float(GRID[int((found == 0).long().cumprod(0).sum(0).min()) - 1]) if rectified else 0.0
    return Behaviour(monotone, rectified, upper, None if rectified or upper is None else lower, threshold)


def _plateau(end: Tensor) -> float | None:
    """Return the value that a function has all along an end of the grid."""
    first = float(end[0, 0])
    return first + 0.0 if torch.isfinite(end).all() and bool((end == first).all()) else None


def _run(function: Function, values: dict[fx.Node, object], attribute: Attribute) -> Tensor:
    """Run a function, and what it reads of weights; an error if it reads anything else."""

    def value(node: fx.Node) -> object:
        if node not in values:
            if node.op in ("placeholder", "call_module") and node not in function.nodes:
                raise ValueError(f"{node} is no constant")
            args, kwargs = fx.node.map_arg((node.args, node.kwargs), lambda used: cast(Argument, value(used)))
            values[node] = result(node, args, kwargs, attribute)
        return values[node]

    for node in function.nodes:
        value(node)
    return cast(Tensor, values[function.nodes[-1]])
