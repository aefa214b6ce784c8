"""The first part of a graph for images that differ from a known one in a small window: only what changes is computed.

A window grows from one convolution to the next by what the kernel sees; around it lies what the graph gives for the
known image. Nakandala, Kumar & Papakonstantinou, Incremental and Approximate Inference for Faster Occlusion-based Deep
CNN Explanations, SIGMOD 2019 (its exact part). Axes: n images, c channels, h w positions.
"""

import operator
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor, fx, nn
from torch.fx.node import Argument

from lurk.graph.faster.folding import called_part, convolution, pair
from lurk.graph.faster.map_windows import Slide, Windows, union
from lurk.graph.plan import Plan, result

MOST = 0.6  # share of a map above which a window is no gain
POINTWISE = {
    *(nn.Identity, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SiLU, nn.GELU, nn.Hardswish, nn.Hardsigmoid, nn.Mish),
    *(nn.Sigmoid, nn.Tanh, nn.Hardtanh, nn.Softplus),
    *(F.relu, F.relu_, torch.relu, torch.relu_, F.relu6, F.leaky_relu, F.elu, F.silu, F.gelu, F.hardswish, F.mish),
    *(torch.sigmoid, torch.tanh, torch.addcmul, "relu", "relu_", "sigmoid", "tanh"),
    *(operator.add, operator.sub, operator.mul, torch.add, torch.sub, torch.mul, torch.cat, "add", "sub", "mul"),
}
SHAPES = ("size", "dim")

Values = dict[fx.Node, Any]


@dataclass(frozen=True)
class _Step:
    """A node, and what it gives for the known image.

    Args:
        node: The node.
        known: Values that enter it, float (1, c, h, w), for those nodes whose values are windows.
        shape: Shape of what it gives; None if that is no tensor.
        slide: How its window slides over its input; None if it does not.
    """

    node: fx.Node
    known: dict[fx.Node, Tensor]
    shape: torch.Size | None
    slide: Slide | None


class Prefix:
    """The first nodes of a graph: up to where windows get large, or to an operation that has no rule.

    Args:
        plan: The plan whose graph it is; its model is in evaluation mode.
        graph: The graph.
        wanted: Names of the nodes whose whole values are wanted; the first of them ends the prefix.
        image: The known image, float (1, c, h, w), as the graph takes it.
        side: Height and width of the windows in pixels, at most.
    """

    def __init__(self, plan: Plan, graph: fx.Graph, wanted: Collection[str], image: Tensor, side: int) -> None:
        self._plan, self._image = plan, image
        self._side = (min(side, image.shape[2]), min(side, image.shape[3]))
        self._start, *nodes = graph.nodes
        self._steps: list[_Step] = []
        self._known: Values = {self._start: image.clone()}
        with torch.no_grad():
            self._walk(nodes, wanted)
        inside = {self._start, *(step.node for step in self._steps)}
        self._known = {node: value for node, value in self._known.items() if not inside.issuperset(node.users)}
        self._last = {used: step.node for step in self._steps for used in step.node.all_input_nodes}

    def _walk(self, nodes: Sequence[fx.Node], wanted: Collection[str]) -> None:
        """Run the graph on the known image, and on a window of it, as long as there are rules."""
        windows: Values = {self._start: self._changed(self._image)}
        for node in nodes:
            if node.op == "output" or node.name in wanted:
                return
            known = {used: self._known[used] for used in node.all_input_nodes if isinstance(windows[used], Windows)}
            slide = _slide(self._plan, node) if known else None
            if known and slide is None and not (_asks_shape(node) or self._is_pointwise(node, known)):
                return
            known = {used: value.clone() for used, value in known.items()}  # as it may be changed in place later
            value: Any = self._result(node, self._known)
            step = _Step(node, known, value.shape if isinstance(value, Tensor) else None, slide)
            self._steps.append(step)
            self._known[node], windows[node] = value, self._run(step, windows, 1)
            if isinstance(windows[node], Windows) and windows[node].share(value.shape) > MOST:
                return

    @property
    def length(self) -> int:
        """Number of nodes, the image included."""
        return 1 + len(self._steps)

    @torch.no_grad()
    def __call__(self, batch: Tensor) -> Values:
        """Run the prefix.

        Args:
            batch: float (n, c, h, w); each image differs from the known one within `side` rows and columns.

        Returns:
            The whole values of those nodes that others read.

        Raises:
            ValueError: An image differs in more.
        """
        windows: Values = {self._start: self._changed(batch)}
        for step in self._steps:
            windows[step.node] = self._run(step, windows, len(batch))
            for used in step.node.all_input_nodes:
                if self._last[used] is step.node and used not in self._known:
                    del windows[used]
        whole = windows | {self._start: batch}
        spread: dict[int, Tensor] = {}  # a value that was changed in place stays one tensor under several names
        for node in self._known:
            value = whole[node]
            if isinstance(value, Windows):
                if id(value.values) not in spread:
                    spread[id(value.values)] = value.whole(self._known[node])
                whole[node] = spread[id(value.values)]
        return {node: whole[node] for node in self._known}

    def _changed(self, batch: Tensor) -> Windows:
        """The windows in which images differ from the known one."""
        is_changed = ~torch.isclose(batch, self._image, rtol=0, atol=0, equal_nan=True).all(1)
        places: list[list[int]] = []
        for axis, side in enumerate(self._side):
            along = is_changed.any(2 - axis).int()
            first, last = along.argmax(1), along.shape[1] - 1 - along.flip(1).argmax(1)
            if bool(((last - first >= side) & along.any(1)).any()):
                raise ValueError(f"an image differs from the known one in more than {side} pixels along an axis")
            places.append(first.clamp(max=along.shape[1] - side).tolist())
        parts = [
            one[:, top : top + self._side[0], left : left + self._side[1]]
            for one, top, left in zip(batch, *places, strict=True)
        ]
        return Windows(torch.stack(parts).contiguous(memory_format=torch.channels_last), places[0], places[1])

    def _run(self, step: _Step, windows: Values, images: int) -> object:
        """Do one step for some images."""
        node, shape = step.node, step.shape
        if not step.known:
            return self._result(node, windows)
        if _asks_shape(node):
            whole = {used: torch.empty(images, *value.shape[1:], device="meta") for used, value in step.known.items()}
            return self._result(node, windows | whole)
        if step.slide is not None and shape is not None:
            ((used, known),) = step.known.items()
            return step.slide.run(windows[used], known, shape)
        first, *others = (windows[used] for used in step.known)
        tops, lefts, read = first.tops, first.lefts, {used: windows[used].values for used in step.known}
        if others:
            size, tops, lefts = union([first, *others], next(iter(step.known.values())).shape)
            read = {used: windows[used].read(known, tops, lefts, size) for used, known in step.known.items()}
        return Windows(cast(Tensor, self._result(node, windows | read)), tops, lefts)

    def _result(self, node: fx.Node, values: Values) -> object:
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), lambda used: cast(Argument, values[used]))
        return result(node, args, kwargs, self._plan.attribute)

    def _is_pointwise(self, node: fx.Node, known: dict[fx.Node, Tensor]) -> bool:
        """Whether a node gives a value at each position from the values at this position."""
        kind = type(called_part(self._plan, node)) if node.op == "call_module" else node.target
        if kind not in POINTWISE:
            return False
        if node.target is torch.cat and (node.args[1:] or tuple(node.kwargs.values())) not in ((1,), (-3,)):
            return False
        others = (self._known[used] for used in node.all_input_nodes if used not in known)
        return len({value.shape[2:] for value in known.values()}) == 1 and all(
            isinstance(value, Tensor) and value.shape[-2:] in ((), (1, 1)) for value in others
        )


def _slide(plan: Plan, node: fx.Node) -> Slide | None:
    """What a convolution or a pooling does; None if the node is another."""
    found, part = convolution(plan, node), called_part(plan, node)
    if found is not None:
        weight, bias, stride, (down, across) = found.weight, found.bias, found.stride, found.dilation
        span = (weight.shape[2] - 1) * down + 1, (weight.shape[3] - 1) * across + 1
        how = {"stride": stride, "dilation": found.dilation, "groups": found.groups}
        compute = partial(torch.conv2d, weight=weight, bias=bias, **how)
        return Slide(span, stride, found.padding, compute)
    if type(part) is nn.MaxPool2d and not part.return_indices and pair(part.dilation) == (1, 1):
        size, stride = pair(part.kernel_size), pair(part.stride)
        return Slide(
            size, stride, pair(part.padding), partial(F.max_pool2d, kernel_size=size, stride=stride), -torch.inf
        )
    if type(part) is nn.AvgPool2d and pair(part.padding) == (0, 0) and not (part.ceil_mode or part.divisor_override):
        size, stride = pair(part.kernel_size), pair(part.stride)
        return Slide(size, stride, (0, 0), partial(F.avg_pool2d, kernel_size=size, stride=stride))
    return None


def _asks_shape(node: fx.Node) -> bool:
    """Whether a node only asks for the shape of a value."""
    if node.op == "call_method":
        return node.target in SHAPES
    return node.target is getattr and node.args[1:] == ("shape",)
