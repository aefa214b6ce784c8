"""Layer-wise relevance propagation: the value of a target shared out among the pixels, layer by layer.

`lrp_rules` shares the relevance of weighted sums. Everything else is read off the graph that autograd recorded of the
operations that ran, so that it does not matter how they were called. With G the relevance for each unit of a value,
which goes back along that graph:

    sums, resizing, padding, joining, moving   by contribution: G goes on as a derivative does
    pooling                                    by contribution; of a maximum the winner takes all
    activation functions a = f(z)              the relevance goes on whole: G · f(z) / z
    gates (x · sigmoid, softmax · x, …)        the signal takes all, the gate is held constant
    quotients, layer and group normalisation   what is divided takes all, the divisor is held constant
    batch normalisation alone                  x·a / (x·a + b): the shift keeps its share

The last three are those of Arras et al., 2017, arXiv 1706.07206, and Ali et al., 2022, arXiv 2202.07304. An operation
that is none of these is refused by name.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction
from torch.autograd.graph import Node
from torch.nn import functional

from lurk.errors import LurkError
from lurk.graph.hooks import Alter, altered
from lurk.graph.plan import Plan
from lurk.graph.receptive.rules import words
from lurk.methods.attribution.lrp_rules import CatchWeightedSums, RuleSet, WeightedSum, stabilized
from lurk.methods.attribution.rectifier_search import Gradients, operation
from lurk.methods.attribution.target import Target, forward_to

MOVING = words(
    "AccumulateGrad Alias AsStrided Cat ChannelShuffle Clone ConstantPadNd CopyBackwards Diagonal Expand Flip "
    "Gather Index IndexSelect Movedim NativeChannelShuffle Permute PixelShuffle PixelUnshuffle Repeat "
    "ReflectionPad1D ReflectionPad2D ReflectionPad3D ReplicationPad1D ReplicationPad2D ReplicationPad3D "
    "ReshapeAlias Roll Select Slice Split SplitWithSizes Squeeze Stack SwapAxes T ToCopy Transpose Unbind "
    "Unflatten Unfold UnsafeSplit UnsafeView Unsqueeze View"
)
LINEAR = MOVING | words(
    "Add AdaptiveAvgPool1D AdaptiveAvgPool2D AdaptiveAvgPool3D AvgPool2D AvgPool3D Col2Im Im2Col MaskedFill Mean "
    "NativeDropout Neg Rsub Sub Sum UpsampleBicubic2D UpsampleBilinear2D UpsampleLinear1D UpsampleNearest1D "
    "UpsampleNearest2D UpsampleNearest3D UpsampleNearestExact2D UpsampleTrilinear3D Where"
)
WINNERS = words(
    "Abs AdaptiveMaxPool2D AdaptiveMaxPool3D Amax Amin LeakyRelu Max MaxPool2DWithIndices MaxPool3DWithIndices "
    "Maximum Min Minimum PreluKernel Relu RreluWithNoise Threshold"
)
PRODUCTS = {"Mul": 0, "Mm": 0, "Bmm": 0, "Mv": 0, "Dot": 0, "Convolution": 0, "Linear": 0, "Addmm": 1, "Baddbmm": 1}
GATES = {"Softmax": 2, "SafeSoftmax": 2, "Sigmoid": 2, "Hardsigmoid": 2, "Rsqrt": 2, "Reciprocal": 2}
GATES |= {"Tanh": 1, "Erf": 1, "Hardtanh": 1, "Clamp": 1}
EDGE = 1 - 1e-6
ACTIVATIONS: dict[str, Callable[[Tensor, Any], Tensor]] = {  # of an input and the node that saved it
    "Silu": lambda z, _: functional.silu(z),
    "Gelu": lambda z, node: functional.gelu(z, approximate=node._saved_approximate),
    "Mish": lambda z, _: functional.mish(z),
    "Hardswish": lambda z, _: functional.hardswish(z),
    "Elu": lambda z, node: torch.where(z > 0, z, _below_0(z, node)) * node._saved_scale,
    "Celu": lambda z, node: functional.celu(z, float(node._saved_alpha)),
    "Hardtanh": lambda z, node: z.clamp(node._saved_min_val, node._saved_max_val),
    "Clamp": lambda z, node: z.clamp(node._saved_min, node._saved_max),
    "ClampMin": lambda z, node: z.clamp(min=node._saved_min),
    "ClampMax": lambda z, node: z.clamp(max=node._saved_max),
    "Pow": lambda z, node: z.pow(node._saved_exponent),
    "Softplus": lambda z, node: functional.softplus(z, node._saved_beta, node._saved_threshold),
    "Hardsigmoid": lambda z, _: functional.hardsigmoid(z),
}
INVERSES: dict[str, Callable[[Tensor], Tensor]] = {  # of functions whose node saved the output alone
    "Tanh": lambda a: torch.atanh(a.clamp(-EDGE, EDGE)),
    "Sigmoid": lambda a: torch.logit(a, 1 - EDGE),
}
NOT_0_AT_0 = {"Softplus", "Hardsigmoid", "Sigmoid", "ClampMin", "ClampMax"}


def relevance(plan: Plan, target: Target, images: Tensor, rules: RuleSet) -> Tensor:
    """Share the value of a target out among the pixels.

    Args:
        plan: The model and its layers.
        target: The target.
        images: float (n, c, h, w), preprocessed.
        rules: Which layers share by which rule.

    Returns:
        float (n, c, h, w); the sum for an image is the target's value less what biases and other constants keep.

    Raises:
        LurkError: The network computes the target by an operation that has no rule.
    """
    batch = images.detach().clone()
    if rules.first is not None:  # relevance for each unit of a pixel, which a pixel of 0 could not hold
        batch = torch.where(batch == 0, torch.finfo(batch.dtype).eps, batch)
    batch.requires_grad_()
    with forward_to(plan, target) as forward:
        numbers = _run(forward, batch, rules)
        if not numbers.requires_grad:  # nothing on the way depends on the image
            return torch.zeros_like(images)
        with altered(changes(numbers)):
            (found,) = torch.autograd.grad(numbers, batch, torch.ones_like(numbers), allow_unused=True)
    return torch.zeros_like(images) if found is None else batch.detach() * found


def missing_rule(plan: Plan, target: Target, image: Tensor) -> str:
    """Return why the value of a target cannot be shared out; empty if it can."""
    batch = image[None].detach().clone().requires_grad_()
    with forward_to(plan, target) as forward:
        try:
            changes(_run(forward, batch, RuleSet()))
        except LurkError as error:
            return str(error)
    return ""


def _run(forward: Callable[[Tensor], tuple[Tensor, object]], batch: Tensor, rules: RuleSet) -> Tensor:
    """Compute the target's numbers; the weighted sums on the way share by the rules."""

    def reads_image(x: Tensor) -> bool:
        node = x.grad_fn
        while node is not None and operation(node) in MOVING and len(node.next_functions) == 1:
            node = node.next_functions[0][0]
        is_moved = node is not None and getattr(node, "variable", None) is batch
        return is_moved and (rules.first != "box" or x.shape == batch.shape)

    with CatchWeightedSums(rules, reads_image):
        return forward(batch)[0]


def changes(number: Tensor) -> dict[Node, Alter]:
    """Find the nodes behind a number that must pass on something else than their derivative.

    Args:
        number: float, computed within `CatchWeightedSums`.

    Returns:
        For each such node what it passes on, so that relevance goes back along the graph.

    Raises:
        LurkError: An operation has no rule.
    """
    found: dict[Node, Alter] = {}
    seen: set[Node] = set()
    waiting = [number.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        alter, dropped = _change(node)
        if alter is not None:
            found[node] = alter
        waiting += [before for at, (before, _) in enumerate(node.next_functions) if at not in dropped]
    return found


def _change(node: Node) -> tuple[Alter | None, tuple[int, ...]]:
    """The change at a node, and the places of the inputs that get nothing."""
    name = operation(node)
    if _passes_relevance(node, name):
        return None, ()
    if name in PRODUCTS:
        return _product(node, PRODUCTS[name])
    if name.startswith("ScaledDotProduct") or (name == "Div" and _depends(node, 0)):
        return _drop(1) if name == "Div" else _drop(0, 1)
    if name in NORMS:
        return NORMS[name](node), ()
    saved: Any = node
    if name in INVERSES:
        a = saved._saved_result.detach()
        return _pass_whole(INVERSES[name](a), a, stable=name in NOT_0_AT_0), ()
    if name in ACTIVATIONS and (name != "Pow" or saved._saved_exponent > 0):
        z = saved._saved_self.detach()
        return _pass_whole(z, ACTIVATIONS[name](z, saved), stable=name in NOT_0_AT_0), ()
    raise LurkError(_unknown(node, name))


def _passes_relevance(node: Node, name: str) -> bool:
    """Whether relevance goes through a node by the node's own derivative."""
    fixed = name.endswith("BatchNorm") and not getattr(node, "_saved_training", True)
    return fixed or name in LINEAR or name in WINNERS or getattr(type(node), "_forward_cls", None) is WeightedSum


def _unknown(node: Node, name: str) -> str:
    if issubclass(type(node), BackwardCFunction):
        return f"its operation {type(node).__name__.removesuffix('Backward')} has a derivative of its own, and no rule"
    if name == "CopySlices":
        return "it changes a part of a tensor in place, so it cannot be told by what operation"
    if name.endswith("Softmax"):
        return f"its output goes through {name}, which has no rule; give the network without it"
    if name.endswith("BatchNorm"):
        return f"its operation {name} normalises by the image itself, and there is no rule for that"
    return f"there is no rule for its operation {name}"


def _depends(node: Node, at: int) -> bool:
    """Whether an input of a node depends on the image."""
    return at < len(node.next_functions) and node.next_functions[at][0] is not None


def _product(node: Node, first: int) -> tuple[Alter | None, tuple[int, ...]]:
    """Drop the factor that is the gate; `first` is the place of the first factor."""
    if not (_depends(node, first) and _depends(node, first + 1)):
        return None, ()
    ranks = [_gate_rank(node.next_functions[first + at][0]) for at in (0, 1)]
    if ranks[0] == ranks[1] and operation(node) == "Mul":  # the smaller factor is broadcast over the larger one
        saved: Any = node
        ranks = [-saved._saved_self.numel(), -saved._saved_other.numel()]
    if ranks[0] == ranks[1]:
        raise LurkError(
            f"its operation {operation(node)} multiplies two values of which none is a gate, and has no rule"
        )
    return _drop(first + (ranks[1] > ranks[0]))


def _gate_rank(node: Node | None) -> int:
    """2 for a value made by a sigmoid, softmax or division, 1 for one made by another bounded function, else 0."""
    while node is not None and operation(node) not in GATES:
        inputs = [before for before, _ in node.next_functions if before is not None]
        if operation(node) not in MOVING | words("Add Sub Rsub Mul Div NativeDropout") or len(inputs) != 1:
            return 0
        node = inputs[0]
    return 0 if node is None else GATES[operation(node)]


def _drop(*places: int) -> tuple[Alter, tuple[int, ...]]:
    """Pass nothing on to the inputs at some places."""

    def alter(given: Gradients, _signal: Gradients) -> Gradients:
        return tuple(None if at in places else value for at, value in enumerate(given))

    return alter, places


def _change_first(change: Callable[[Tensor, Tensor], Tensor]) -> Alter:
    """Pass on to the first input what `change` makes of the signal and of the derivative times the signal."""

    def alter(given: Gradients, signal: Gradients) -> Gradients | None:
        if signal[0] is None or given[0] is None:
            return None
        return (change(signal[0], given[0]), *given[1:])

    return alter


def _pass_whole(z: Tensor, a: Tensor, *, stable: bool) -> Alter:
    """Pass on all the relevance of an activation function's output a to its input z."""

    def change(signal: Tensor, derived: Tensor) -> Tensor:
        return torch.where(z == 0, derived, signal * a / (stabilized(z, 1 - EDGE) if stable else z))

    return _change_first(change)


def _below_0(z: Tensor, node: Any) -> Tensor:
    found: Tensor = torch.expm1(z * node._saved_input_scale) * node._saved_alpha
    return found


def _layer_norm(node: Any) -> Alter:
    scale = node._saved_result2 if node._saved_weight is None else node._saved_result2 * node._saved_weight
    axes = tuple(range(-len(node._saved_normalized_shape), 0))

    def change(signal: Tensor, _derived: Tensor) -> Tensor:
        scaled: Tensor = signal * scale
        return scaled - scaled.mean(axes, keepdim=True)

    return _change_first(change)


def _group_norm(node: Any) -> Alter:
    deviation, weight, groups = node._saved_result2, node._saved_weight, int(node._saved_group)

    def change(signal: Tensor, _derived: Tensor) -> Tensor:
        scaled = signal if weight is None else signal * weight.view(-1, *[1] * (signal.dim() - 2))
        parts = scaled.reshape(len(signal), groups, -1) * deviation.view(len(signal), groups, 1)
        shared: Tensor = parts - parts.mean(2, keepdim=True)
        return shared.view_as(signal)

    return _change_first(change)


NORMS: dict[str, Callable[[Any], Alter]] = {"NativeLayerNorm": _layer_norm, "NativeGroupNorm": _group_norm}
