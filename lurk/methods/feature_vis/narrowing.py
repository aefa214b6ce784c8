"""The graph up to one layer, in which only those channels are computed that ascent raises.

Of a convolution's weights only the rows of these channels are needed. Where channels stay apart after it, as in
activation functions and depthwise convolutions, so do those that are left.
"""

from dataclasses import replace

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import fx, nn

from lurk.graph.faster.folding import Convolution, Copy, called_part, convolution
from lurk.graph.plan import Plan, Tap

IMAGES_CHANNELS_ROWS_COLS = (0, 1, 2, 3)
MODULES = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SiLU, nn.GELU, nn.Hardswish, nn.Mish, nn.Sigmoid, nn.Hardtanh)
FUNCTIONS = (F.relu, torch.relu, F.relu6, F.leaky_relu, F.elu, F.silu, F.gelu, F.hardswish, F.mish, torch.sigmoid)


def narrowed(plan: Plan, layer: str, units: tuple[int, ...]) -> Plan:
    """Leave out the channels of a layer that nobody asks for, and what comes after the layer.

    Args:
        plan: The plan.
        layer: Name of the layer.
        units: The channels that are asked for, each of which may be named several times.

    Returns:
        A plan of this layer alone, whose tap names the channels that it has; the same plan if it has no graph, or the
        layer's channels cannot be told apart in it.
    """
    at = next((at for at, info in enumerate(plan.layers) if info.name == layer), None)
    if plan.graph is None or at is None or not 0 <= min(units) <= max(units) < plan.layers[at].units:
        return plan
    tap = plan.taps[at]
    if tap.layout.order != IMAGES_CHANNELS_ROWS_COLS or tap.layout.entries is not None or tap.heads is not None:
        return plan
    return _Narrowing(plan, plan.graph, tap, tuple(dict.fromkeys(units))).plan(at)


class _Narrowing:
    """Finds the nodes that can do with some channels, and copies the graph with these nodes narrowed."""

    def __init__(self, plan: Plan, graph: fx.Graph, tap: Tap, units: tuple[int, ...]) -> None:
        self._plan, self._tap, self._units = plan, tap, units
        names = [node.name for node in graph.nodes]
        last = max(names.index(name) for name in (tap.node, tap.before) if name is not None)
        self._nodes = list(graph.nodes)[: last + 1]
        self._wanted = {node for node in self._nodes if node.name in (tap.node, tap.before)}
        self._narrow: dict[fx.Node, Convolution | None] = {}  # None for a node that only keeps channels apart
        self._copy, self._picked = Copy(plan), dict[fx.Node, fx.Node]()

    def plan(self, at: int) -> Plan:
        """Return the plan of the layer at a place in the plan."""
        for node in reversed(self._nodes):
            self._mark(node)
        for node in self._nodes:
            self._add(node)
        names = {node.name: self._some(node).name for node in self._wanted}
        before = None if self._tap.before is None else names[self._tap.before]
        tap = replace(self._tap, node=names[self._tap.node], before=before, units=self._units)
        return replace(self._copy.plan(), layers=(self._plan.layers[at],), taps=(tap,))

    def _mark(self, node: fx.Node) -> None:
        """Note a node if nobody needs its other channels, and it can be computed without them."""
        readers = [reader for reader in node.users if reader in self._nodes]
        if not all(self._keeps_apart(reader) for reader in readers) or not (readers or node in self._wanted):
            return
        found = convolution(self._plan, node)
        if found is not None:
            if found.groups == 1 or found.is_depthwise:
                self._narrow[node] = found
        elif _is_channelwise(self._plan, node) and len(node.all_input_nodes[0].users) == 1:  # it may change its input
            self._narrow[node] = None

    def _keeps_apart(self, node: fx.Node) -> bool:
        """Whether a node is narrowed and needs of its input only the channels that it gives."""
        found = self._narrow.get(node)
        return node in self._narrow and (found is None or found.is_depthwise)

    def _add(self, node: fx.Node) -> None:
        """Copy a node, narrowed if it is marked."""
        if node not in self._narrow:
            self._copy.keep(node)
            if node in self._wanted:
                self._some(node)  # now, as it may be changed in place later
            return
        found, entering = self._narrow[node], node.all_input_nodes[0]
        given = self._some(entering) if self._keeps_apart(node) else self._copy.nodes[entering]
        if found is None:
            self._copy.keep(node, {entering: given})
            return
        rows = list(self._units)
        bias, groups = None if found.bias is None else found.bias[rows], min(found.groups, len(self._units))
        self._copy.convolve(node, given, replace(found, weight=found.weight[rows], bias=bias, groups=groups))

    def _some(self, node: fx.Node) -> fx.Node:
        """The copy of a node with the wanted channels only."""
        if node in self._narrow:
            return self._copy.nodes[node]
        if node not in self._picked:
            units = self._copy.constant(torch.tensor(self._units), node.name)
            self._picked[node] = self._copy.graph.call_function(torch.index_select, (self._copy.nodes[node], 1, units))
        return self._picked[node]


def _is_channelwise(plan: Plan, node: fx.Node) -> bool:
    """Whether a node computes each channel from the same channel of one value."""
    if len(node.all_input_nodes) != 1:
        return False
    return type(called_part(plan, node)) in MODULES or (node.op == "call_function" and node.target in FUNCTIONS)
