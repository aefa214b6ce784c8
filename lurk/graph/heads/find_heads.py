"""Finds attention heads in the recorded graph: a product of attention weights and values that a linear layer projects.

Attention weights are what a softmax gives. Between the product and the linear layer the values may only be moved: then
each of that layer's inputs belongs to one head. To find out which, the product's entries are numbered, and the numbers
moved in the place of the values; so it does not matter how the code arranges heads, images and windows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, fx, nn
from torch.fx.node import Argument
from torch.nn import functional

from lurk.graph.activation_taps import Follower
from lurk.graph.device import device_of, dtype_of
from lurk.graph.heads.head_columns import HeadColumns, head_columns
from lurk.graph.heads.head_norms import projection_weights, taken_apart
from lurk.graph.layout.activation_layout import Axes, Layout, arrange
from lurk.graph.layout.tokens import Grid, positions_by_coordinates
from lurk.graph.plan import Heads, Plan, Tap, result
from lurk.graph.receptive.coordinates import IMAGES, image_axis
from lurk.graph.receptive.rules import POINTWISE, words
from lurk.graph.token_names import describe_layers, kinds_of, name_tokens
from lurk.graph.trace import Trace
from lurk.graph.trace_proxies import flat
from lurk.records import LayerInfo

COPYING = words("clone alias detach _to_copy lift_fresh native_dropout")
MOVING = COPYING | words(
    "permute transpose t squeeze unsqueeze select slice split split_with_sizes unbind chunk roll flip"
)
SOFTMAX = words("softmax _softmax")
PRODUCTS = words("mm addmm bmm baddbmm")
PROJECTING = PRODUCTS | MOVING | words("add")


@dataclass(frozen=True)
class HeadLayer:
    """A layer of attention heads, or of what they write at a token that has no position.

    Args:
        order: Place of the product in the graph.
        name: Name of the attention's layer.
        info: The layer.
        tap: Where it is found.
    """

    order: int
    name: str
    info: LayerInfo
    tap: Tap


def find_heads(module: nn.Module, trace: Trace, follower: Follower) -> list[HeadLayer]:
    """Find the attention heads of a network whose queries belong to positions of the image.

    Args:
        module: The network.
        trace: Its graph.
        follower: Follows values through it.

    Returns:
        A layer for each attention, `NAME:heads`, and one for each of its tokens without a position; in order.
    """
    found: list[HeadLayer] = []
    search = _Search(module, trace, follower)
    for node in trace.graph.nodes:
        across = search.across(node)
        heads = None if across is None else search.heads(node, across)
        if heads is not None:
            found += _layers(
                trace, follower.order[node], node, heads, search.name(node, {layer.name for layer in found})
            )
    return found


def _layers(trace: Trace, order: int, node: fx.Node, heads: Heads, named: tuple[str, str]) -> list[HeadLayer]:
    """The layers of a product; none if its rows belong to no positions of the image."""
    name, kind = named
    height, width = (trace.values[next(iter(trace.graph.nodes))].shape or (0, 0))[-2:]
    layouts = _layouts(trace.values[node].field, heads, (height, width))
    extras = name_tokens(kinds_of(trace, node, len(layouts) - 1))
    infos = describe_layers(
        LayerInfo(name, kind, 0, (), None, None, "post", heads=True, words="attention heads"), layouts, extras
    )
    return [
        HeadLayer(order, name, info, Tap(node.name, layout, heads=heads))
        for info, layout in zip(infos, layouts, strict=True)
    ]


def _layouts(field: Tensor | None, heads: Heads, image: Grid) -> list[Layout]:
    if field is None:
        return []
    field = taken_apart(field, heads).select(heads.across, 0)
    images, axis = image_axis(field), heads.axis - (heads.across < heads.axis)
    positions = positions_by_coordinates(field, axis, image)
    if images is None or positions is None:
        return []
    return arrange(field.shape, Axes(images, axis), IMAGES, positions, lambda _count, own: own)


class _Search:
    """Looks for products and their projections in one graph."""

    def __init__(self, module: nn.Module, trace: Trace, follower: Follower) -> None:
        self._module, self._values, self._follower = module, trace.values, follower
        self._known: dict[tuple[tuple[int, ...], int], list[tuple[Tensor, HeadColumns | None]]] = {}
        self._attribute = Plan(module, (0, 0, 0), (), (), trace.graph, trace.constants).attribute

    def across(self, node: fx.Node) -> int | None:
        """Return the axis of the values' channels of a product of attention weights and values; None of other nodes."""
        given = self._data(node)
        if node.target is functional.scaled_dot_product_attention:
            is_of_image = next(item for item in flat([node.args, node.kwargs]) if isinstance(item, fx.Node)) in given
            return self._rank(node) - 1 if is_of_image else None
        if len(given) != 2 or PRODUCTS.isdisjoint(self._operations(node)):
            return None
        weights = [self._are_weights(item) for item in given]
        if sum(weights) != 1:
            return None
        if node.target is torch.einsum:
            return self._across_einsum(node, weights.index(True))
        is_plain = getattr(node.target, "__name__", node.target) in ("matmul", "bmm")
        return self._rank(node) - 1 if is_plain and weights[0] else None

    def _across_einsum(self, node: fx.Node, weights: int) -> int | None:
        inputs, arrow, output = str(node.args[0]).replace(" ", "").partition("->")
        own = set(output) - set(inputs.split(",")[weights])
        return self._rank(node) - len(output) + output.index(own.pop()) if arrow and len(own) == 1 else None

    def _operations(self, node: fx.Node) -> set[str]:
        return set(self._values[node].operations) if node in self._values else set()

    def _rank(self, node: fx.Node) -> int:
        return len(self._values[node].shape or ())

    def _data(self, node: fx.Node) -> list[fx.Node]:
        """The tensors that depend on the image among what a node is given, in order."""
        given = dict.fromkeys(item for item in flat([node.args, node.kwargs]) if isinstance(item, fx.Node))
        return [item for item in given if item in self._values and self._values[item].field is not None]

    def _are_weights(self, node: fx.Node) -> bool:
        """Whether a value is made by a softmax, but for dropout, masks and moves."""
        while True:
            done, given = self._operations(node), self._data(node)
            if not done <= POINTWISE | MOVING | SOFTMAX or len(given) != 1:
                return False
            if done & SOFTMAX:
                return True
            (node,) = given

    def heads(self, product: fx.Node, across: int) -> Heads | None:
        """Follow a product to its projection, and find its heads there; None if it is not projected as it is."""
        shape = self._values[product].shape or ()
        entries, node = torch.arange(torch.Size(shape).numel(), dtype=torch.int32).view(shape), product
        while len(users := self._follower.users(node)) == 1 and len(self._data(users[0])) == 1:
            if self._is_projection(users[0]):
                return self._heads(users[0], entries, shape, across)
            moved = self._moved(users[0], entries)
            if moved is None:
                return None
            (node,), entries = users, moved
        return None

    def _moved(self, node: fx.Node, entries: Tensor) -> Tensor | None:
        """Move numbers as a node moves values; None if it does anything else with them."""
        done, shape = self._operations(node), self._values[node].shape
        if shape is None or not done <= MOVING:
            return None
        if done <= COPYING and entries.shape == shape:
            return entries

        def given(used: fx.Node) -> object:
            return entries if self._values[used].field is not None else self._constant(used)

        try:
            return cast(Tensor, self._run(node, given))
        except Exception:  # a part of the user's may not take whole numbers
            return None

    def _constant(self, node: fx.Node) -> object:
        """Return a value that depends on shapes only; a tensor without content stands for one that has the image."""
        value = self._values[node]
        if value.field is not None:
            return torch.empty(value.shape or (), device="meta")
        return self._run(node, self._constant)

    def _run(self, node: fx.Node, given: Callable[[fx.Node], object]) -> object:
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), lambda used: cast(Argument, given(used)))
        return result(node, args, kwargs, self._attribute)

    def _is_projection(self, node: fx.Node) -> bool:
        """Whether a node multiplies the last axis of what it is given by a matrix."""
        shape, before = self._values[node].shape or (), self._values[self._data(node)[0]].shape or ()
        done = self._operations(node)
        return bool(done & PRODUCTS) and done <= PROJECTING and shape[:-1] == before[:-1]

    def _heads(self, projection: fx.Node, entries: Tensor, shape: Sequence[int], across: int) -> Heads | None:
        found = self._columns(entries.flatten(0, -2), shape, across)
        if found is None:
            return None
        (entering,) = self._data(projection)
        place = (projection.name, entering.name, entries.dim())
        heads = Heads(*place, found.columns, found.axis, found.across, found.split)
        like = torch.zeros((), dtype=dtype_of(self._module), device=device_of(self._module))
        try:
            projection_weights(projection, heads, self._attribute, like)
        except Exception:  # it may be made of more than weights
            return None
        return heads

    def _columns(self, entries: Tensor, shape: Sequence[int], across: int) -> HeadColumns | None:
        """Tell heads apart, but only once for blocks that are alike."""
        for known, found in self._known.setdefault((tuple(shape), across), []):
            if torch.equal(known, entries):
                return found
        found = head_columns(entries, shape, across)
        self._known[tuple(shape), across].append((entries, found))
        return found

    def name(self, node: fx.Node, taken: set[str]) -> tuple[str, str]:
        """Return the name of a product's layer and the class name of the module that computes it."""
        owner = self._values[node].owner
        name, part = ("", self._module) if owner is None else (owner.name, self._module.get_submodule(owner.path))
        names = (f"{name}:heads{number}".lstrip(":") for number in ("", *range(2, len(taken) + 3)))
        return next(name for name in names if name not in taken), type(part).__name__
