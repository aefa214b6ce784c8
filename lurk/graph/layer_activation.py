"""What a layer's activation function is, and whether its units are the model's class scores."""

from dataclasses import replace

import torch
from torch import Tensor, fx, nn

from lurk.graph.activation_function import UNKNOWN, Behaviour, Function, behaviour
from lurk.graph.activation_taps import Follower
from lurk.graph.hooks import tapped
from lurk.graph.outputs.class_scores import ClassScores
from lurk.graph.plan import Plan
from lurk.graph.receptive.rules import words
from lurk.graph.trace import Trace
from lurk.records import LayerInfo

FINISHING = words(
    "view _unsafe_view reshape squeeze unsqueeze flatten permute transpose t clone alias detach _to_copy mean sum amax "
    "adaptive_avg_pool1d adaptive_avg_pool2d _adaptive_avg_pool2d adaptive_max_pool2d avg_pool1d avg_pool2d max_pool2d "
    "max_pool2d_with_indices upsample_nearest2d upsample_bilinear2d upsample_bicubic2d native_dropout softmax _softmax "
    "log_softmax _log_softmax sigmoid log_sigmoid_forward"
)


class LayerActivations:
    """Says of the layers of a trace what their activation functions do; measures each kind of function once."""

    def __init__(self, module: nn.Module, trace: Trace, follower: Follower, probe: Tensor) -> None:
        self._module, self._trace, self._follower, self._probe = module, trace, follower, probe
        self._whole = Plan(module, (0, 0, 0), (), (), trace.graph, trace.constants)

    def described(
        self, info: LayerInfo, node: fx.Node, function: Function | None, channels: int
    ) -> tuple[LayerInfo, str | None, Behaviour]:
        """Complete a layer by its activation function, and by whether its units are the class scores.

        Args:
            info: The layer.
            node: The node that gives its value.
            function: The activation function that gives its value, or None.
            channels: The axis of the value's channels.

        Returns:
            The layer, the name of the node whose value enters the function, None if it is not monotone, and how the
            function behaves.
        """
        info = replace(info, class_scores=self._gives_class_scores(node, channels))
        if function is None:
            return info, None, UNKNOWN
        done = self._behaviour(function, channels)
        info = replace(info, activation=self._follower.name(function), rectified=done.rectified)
        info = replace(info, bound=done.bound, lower_bound=done.lower_bound)
        return info, function.before.name if done.monotone else None, done

    def _behaviour(self, function: Function, channels: int) -> Behaviour:
        shape = self._trace.values[function.before].shape or ()
        entering = self._follower.entering(function)
        sizes = [shape[dim] if dim == channels and self._has_weights(function) else 1 for dim in range(len(shape))]
        return behaviour(function, entering, self._whole.attribute, self._probe.new_zeros(sizes))

    def _has_weights(self, function: Function) -> bool:
        """Whether a function reads more than the value that enters it."""
        inside = {*self._follower.entering(function), *function.nodes}
        parts = [self._whole.attribute(str(node.target)) for node in function.nodes if node.op == "call_module"]
        own = any(True for part in parts if isinstance(part, nn.Module) for _ in (*part.parameters(), *part.buffers()))
        return own or any(used not in inside for node in function.nodes for used in node.all_input_nodes)

    def _gives_class_scores(self, node: fx.Node, channels: int) -> bool:
        """Whether a value is an output of the model but for pooling, resizing, flattening and softmax."""
        values = self._trace.values
        units = (values[node].shape or ())[channels]
        while len(users := self._follower.users(node)) == 1:
            if users[0].op == "output":
                return units in ((values[node].shape or ())[1:] or (1,))
            if users[0] not in values or not FINISHING.issuperset(values[users[0]].operations):
                break
            (node,) = users
        return False


def with_class_scores(plan: Plan, probe: Tensor, scores: ClassScores) -> Plan:
    """Let a plan say how class scores are read from the model's output, and which layers' units are those scores.

    Args:
        plan: A plan whose layers say whether they are an output of the model. Without a graph they do not know; their
            values are then compared with the scores.
        probe: float (n, c, h, w), an input of the model.
        scores: How class scores are read from the output.

    Returns:
        The plan.
    """
    known = [layer.class_scores for layer in plan.layers] if plan.graph is not None else _equal(plan, probe, scores)
    layers = tuple(
        replace(layer, class_scores=is_output and not scores.missing and layer.units == scores.classes)
        for layer, is_output in zip(plan.layers, known, strict=True)
    )
    return replace(plan, layers=layers, scores=scores)


def _equal(plan: Plan, probe: Tensor, scores: ClassScores) -> list[bool]:
    """Whether each layer's mean over its positions is the class scores, before or after a softmax or sigmoid."""
    if scores.missing or all(layer.units != scores.classes for layer in plan.layers):
        return [False] * len(plan.layers)
    means: dict[int, Tensor] = {}
    with torch.no_grad(), tapped(plan, lambda at, value: means.__setitem__(at, value.flatten(2).mean(2))) as forward:
        output = forward(probe.clone())
    wanted = scores.read(output, len(probe)).float()
    found = []
    for at in range(len(plan.layers)):
        mine = means[at].float() if at in means else wanted[:, :0]
        forms = (mine, mine.softmax(1), mine.log_softmax(1), mine.sigmoid())
        found.append(mine.shape == wanted.shape and any(torch.allclose(form, wanted, atol=1e-6) for form in forms))
    return found
