"""Paddings and batch normalisations folded into convolutions, for a network whose weights do not change meanwhile.

In evaluation mode a batch normalisation multiplies each channel by a number and adds another. A convolution does both
without another pass over the map, forward or backward, and pads without a copy of the map. Values differ by rounding.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor, fx, nn
from torch.fx.node import Argument

from lurk.graph.device import dtype_of
from lurk.graph.plan import Plan

ARGUMENTS = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
PRECISE = (torch.float32, torch.float64)
DEFAULTS = {"bias": None, "stride": 1, "padding": 0, "dilation": 1, "groups": 1}


@dataclass(frozen=True)
class Convolution:
    """A convolution of a graph.

    Args:
        weight: float (channels out, channels in / groups, rows, cols).
        bias: float (channels out,), or None.
        stride: (down, across) in pixels.
        padding: (rows, cols) of zeros on each side.
        dilation: (down, across) in pixels.
        groups: Groups of channels.
    """

    weight: Tensor
    bias: Tensor | None
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int

    @property
    def is_depthwise(self) -> bool:
        """Whether each channel is computed from the same channel."""
        return self.weight.shape[1] == 1 and self.groups == len(self.weight) > 1

    def scaled(self, scale: Tensor, shift: Tensor) -> "Convolution":
        """Return the convolution whose channels are multiplied by numbers and have others added, float (channels,)."""
        bias = shift if self.bias is None else shift + self.bias * scale
        return replace(self, weight=self.weight * scale.view(-1, 1, 1, 1), bias=bias)

    def padded(self, sides: tuple[int, int, int, int]) -> "Convolution | None":
        """Return the convolution that also pads: left, right, top and bottom. None if its dilation does not allow it.

        A convolution pads both sides alike. Where they differ, both get the larger padding, and the kernel gets zeros
        on the side with the smaller one, which are as many pixels further in.
        """
        left, right, top, bottom = sides
        down, across = max(top, bottom), max(left, right)
        more = (across - left, across - right, down - top, down - bottom)
        steps = (self.dilation[1], self.dilation[1], self.dilation[0], self.dilation[0])
        if min(sides) < 0 or any(pixels % step for pixels, step in zip(more, steps, strict=True)) or any(self.padding):
            return None
        taps = [pixels // step for pixels, step in zip(more, steps, strict=True)]
        return replace(self, weight=F.pad(self.weight, taps), padding=(down, across))


class Copy:
    """A copy of a plan's graph, in which nodes can be replaced by convolutions with weights of their own."""

    def __init__(self, plan: Plan) -> None:
        self.graph, self.nodes = fx.Graph(), dict[fx.Node, fx.Node]()
        self._plan, self._constants = plan, dict(plan.constants)

    def keep(self, node: fx.Node, instead: Mapping[fx.Node, fx.Node] = MappingProxyType({})) -> None:
        """Copy a node, with the copies of its inputs or with others instead of them."""
        self.nodes[node] = self.graph.node_copy(node, lambda used: instead.get(used) or self.nodes[used])

    def constant(self, value: Tensor, name: str) -> fx.Node:
        """Add a tensor that the graph reads."""
        target = f"{name}/{len(self._constants)}"  # a path that no module has
        self._constants[target] = value.detach()
        return self.graph.create_node("get_attr", target)

    def call(self, node: fx.Node, function: Callable[..., object], *given: Argument) -> None:
        """Put the call of a function in the place of a node, under its name."""
        self.nodes[node] = self.graph.create_node("call_function", function, given, name=node.name)

    def convolve(self, node: fx.Node, entering: fx.Node, found: Convolution) -> None:
        """Put a convolution of a value in the place of a node."""
        weights = [None if one is None else self.constant(one, node.name) for one in (found.weight, found.bias)]
        how = (found.stride, found.padding, found.dilation, found.groups)
        self.call(node, torch.conv2d, entering, *weights, *how)

    def plan(self) -> Plan:
        """Return the plan with the copy as its graph."""
        return replace(self._plan, graph=self.graph, constants=self._constants)


def folded(plan: Plan, *, to_the_end: bool = False) -> Plan:
    """Fold paddings and batch normalisations.

    Args:
        plan: The plan; the values of its taps stay.
        to_the_end: Whether the model's output stays too; else the graph ends with the last tap.

    Returns:
        A plan whose graph gives the same values under the same names, and whose batches are brought into the fastest
        order in memory; the same plan if it has no graph.
    """
    if plan.graph is None:
        return plan
    kept = {name for tap in plan.taps for name in (tap.node, tap.before) if name is not None}
    read = kept | {tap.heads.projection for tap in plan.taps if tap.heads is not None}
    nodes = list(plan.graph.nodes)
    end = len(nodes) if to_the_end else 1 + max(at for at, node in enumerate(nodes) if node.name in read)
    copy, done = Copy(plan), set[fx.Node]()
    for node in nodes[:end]:
        if node in done:
            continue
        chain, found = _chain(plan, node, kept)
        line = _line(plan, node)
        if found is not None and len(chain) > 1:  # where its input is read first, as that may be changed in place later
            copy.convolve(chain[-1], copy.nodes[node.all_input_nodes[0]], found)
            done.update(chain)
        elif line is not None:
            scale, shift = (copy.constant(part.view(-1, 1, 1), node.name) for part in line)
            copy.call(node, torch.addcmul, shift, copy.nodes[node.all_input_nodes[0]], scale)
        else:
            copy.keep(node)
    return replace(copy.plan(), memory_format=plan.fastest_format)


def convolution(plan: Plan, node: fx.Node) -> Convolution | None:
    """Return the convolution that a node computes with weights of the plan; None if it computes something else."""
    part, given = called_part(plan, node), dict[str, Any](DEFAULTS)
    if type(part) is nn.Conv2d and part.padding_mode == "zeros":
        given |= {word: getattr(part, word) for word in ARGUMENTS[1:]}
    elif node.op == "call_function" and node.target in (torch.conv2d, F.conv2d):
        given |= dict(zip(ARGUMENTS, node.args, strict=False)) | node.kwargs
        read = {word: one for word, one in given.items() if isinstance(one, fx.Node) and one.op == "get_attr"}
        given |= {word: plan.attribute(str(one.target)) for word, one in read.items()}
    else:
        return None
    if isinstance(given["padding"], str) or any(isinstance(given[word], fx.Node) for word in ARGUMENTS[1:]):
        return None
    stride, padding, dilation = (pair(given[word]) for word in ("stride", "padding", "dilation"))
    return Convolution(given["weight"], given["bias"], stride, padding, dilation, given["groups"])


def called_part(plan: Plan, node: fx.Node) -> nn.Module | None:
    """The module that a node calls, unless code of the user's runs with it or instead of it."""
    part = plan.attribute(str(node.target)) if node.op == "call_module" else None
    is_altered = isinstance(part, nn.Module) and (
        part._forward_hooks or part._forward_pre_hooks or "forward" in vars(part)
    )
    return part if isinstance(part, nn.Module) and not is_altered else None


def _chain(plan: Plan, first: fx.Node, kept: Collection[str]) -> tuple[list[fx.Node], Convolution | None]:
    """A padding, a convolution and a batch normalisation that follow one another, each read by the next alone."""
    nodes, sides = [first], _sides(plan, first)
    if sides is not None:
        nodes += _only_reader(first, kept)
    found = convolution(plan, nodes[-1])
    if found is not None and sides is not None:
        found = found.padded(sides)
    after = [] if found is None else _only_reader(nodes[-1], kept)
    line = _line(plan, after[0]) if after else None
    if found is not None and line is not None and line[0].dtype == found.weight.dtype:
        return nodes + after, found.scaled(*line)
    return nodes, found


def _only_reader(node: fx.Node, kept: Collection[str]) -> list[fx.Node]:
    """The node that alone reads another's value, first of all; none if there are several, or the value is wanted."""
    readers = list(node.users)
    is_inner = len(readers) == 1 and node.name not in kept and readers[0].args[:1] == (node,)
    return readers if is_inner else []


def _sides(plan: Plan, node: fx.Node) -> tuple[int, int, int, int] | None:
    """The zeros that a node adds: left, right, top and bottom; None if it does something else."""
    part, given = called_part(plan, node), dict[str, Any]()
    if type(part) is nn.ZeroPad2d:
        given = {"pad": part.padding}
    elif node.op == "call_function" and node.target is F.pad:
        given = dict(zip(("input", "pad", "mode", "value"), node.args, strict=False)) | node.kwargs
    if not given or given.get("mode", "constant") != "constant" or given.get("value") or len(given["pad"]) != 4:
        return None
    left, right, top, bottom = given["pad"]
    return (left, right, top, bottom) if all(isinstance(side, int) for side in given["pad"]) else None


def _line(plan: Plan, node: fx.Node) -> tuple[Tensor, Tensor] | None:
    """What a batch normalisation multiplies each channel by, and what it adds; None if the node is none."""
    norm = called_part(plan, node)
    if type(norm) is not nn.BatchNorm2d or norm.running_mean is None or norm.running_var is None:
        return None
    if norm.running_mean.dtype != dtype_of(plan.module):  # a norm of another precision gives its input's
        return None
    if norm.running_mean.dtype not in PRECISE:  # folded weights would be rounded more than the norm rounds
        return None
    mean, variance, weight, bias = (
        None if one is None else one.detach().cpu().double()  # some devices have no float64
        for one in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    scale = (variance + norm.eps).rsqrt() * (1 if weight is None else weight)
    shift = (0 if bias is None else bias) - mean * scale
    return scale.to(norm.running_mean), shift.to(norm.running_mean)


def pair(value: int | Sequence[int]) -> tuple[int, int]:
    """Return what a module says of both axes, (down, across), where it may say one number for both."""
    sizes = (value,) if isinstance(value, int) else tuple(value)
    return sizes[0], sizes[-1]
