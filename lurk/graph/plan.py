"""The plan of a model, as plain data: its layers, and where the activation of each is found."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor, fx, nn

from lurk.graph.device import device_of
from lurk.graph.layout.activation_layout import Layout
from lurk.graph.outputs.class_scores import NO_SCORES, ClassScores
from lurk.records import LayerInfo


@dataclass(frozen=True)
class Heads:
    """How the attention heads of a layer lie in the product of attention weights and values, and in its projection.

    Args:
        projection: Name of the node that projects what all heads give.
        entering: Name of the node whose value enters it.
        rank: Number of that value's axes, of which the last holds the projection's inputs.
        columns: For each head the projection's inputs that are its own, in the order of the values' channels.
        axis: The product's axis of heads, after the split.
        across: The product's axis of the values' channels, after the split.
        split: The axis that holds heads and images, or windows, and the sizes to take it apart, one of them -1; None
            if heads have an axis of their own.
    """

    projection: str
    entering: str
    rank: int
    columns: tuple[tuple[int, ...], ...]
    axis: int
    across: int
    split: tuple[int, tuple[int, int]] | None


@dataclass(frozen=True)
class Tap:
    """Where a layer's activation is found.

    Args:
        node: Name of the graph's node; name of the module's call if the model has no graph.
        layout: How to bring it into (n, channels, rows, cols).
        before: Name of the node whose value enters the monotone activation function that gives the activation, laid
            out likewise; None if no such function gives it.
        heads: Of a layer of attention heads, how their norms are had from the node's value; else None.
        threshold: The value up to which that function gives 0, if it is a rectifier.
        units: The layer's channels that the value holds, in its order; None if it holds all.
        cut: What that function cuts values off at, below and above, if it does nothing else; else None.
    """

    node: str
    layout: Layout
    before: str | None = None
    heads: Heads | None = None
    threshold: float = 0.0
    units: tuple[int, ...] | None = None
    cut: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class Plan:
    """A module analysed for one input shape.

    Args:
        module: The model.
        input_shape: (c, h, w) of one preprocessed image.
        layers: The chosen layers, in execution order.
        taps: Where each layer is found.
        graph: The module's graph, or None if it cannot be traced.
        constants: Tensors that the graph reads but the module does not hold.
        left_out: Names of the layers that mix the images of a batch or give them in another order.
        random: The first part that answers differently each time, if that is why layers are left out; else empty.
        scores: How the class scores are read from the model's output.
        fastest_format: The fastest order of a batch in memory in which the model gives the same, but for rounding.
        memory_format: The order into which a forward pass brings its batch.
    """

    module: nn.Module
    input_shape: tuple[int, int, int]
    layers: tuple[LayerInfo, ...]
    taps: tuple[Tap, ...]
    graph: fx.Graph | None = None
    constants: Mapping[str, Tensor] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    random: str = ""
    scores: ClassScores = NO_SCORES
    fastest_format: torch.memory_format = torch.contiguous_format
    memory_format: torch.memory_format = torch.preserve_format

    def attribute(self, target: str) -> object:
        """Return the module, weight, buffer or constant that the graph calls by a dotted name."""
        if target not in self.constants:
            return attribute(self.module, target)
        return self.constants[target].to(device_of(self.module))


def result(
    node: fx.Node, args: Sequence[object], kwargs: Mapping[str, object], attribute: Callable[[str], object]
) -> object:
    """Run one node of a graph; `attribute` returns the module or weight of a dotted name."""
    if node.op == "call_method":
        return getattr(args[0], str(node.target))(*args[1:], **kwargs)
    if node.op == "call_function":
        return cast(Callable[..., object], node.target)(*args, **kwargs)
    found = attribute(str(node.target))
    return found if node.op == "get_attr" else cast(Callable[..., object], found)(*args, **kwargs)


def attribute(root: nn.Module, target: str) -> object:
    """Return the value under a dotted name."""
    value: object = root
    for part in target.split("."):
        value = getattr(value, part)
    return value
