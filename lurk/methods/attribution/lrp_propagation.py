"""Layer-wise relevance propagation: the value of a target shared out among the pixels, layer by layer.

`lrp_rules` shares the relevance of weighted sums. Everything else is read off the graph that autograd
recorded of the operations that ran, so that it does not matter how they were called. With G the relevance for each
unit of a value, which goes back along that graph:

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
from lurk.methods.attribution.lrp_rules import Catching, Shared, Sharing, stabilised
from lurk.methods.attribution.target import Target, explaining

Gradients = tuple[Tensor | None, ...]


def words(text: str) -> frozenset[str]:
    """Set of the words of a text."""
    return frozenset(text.split())


MOVING = words(
    "AccumulateGrad Alias AsStrided Cat ChannelShuffle Clone ConstantPadNd CopyBackwards Diagonal Expand Flip Gather "
    " Index IndexSelect Movedim NativeChannelShuffle Permute PixelShuffle PixelUnshuffle Repeat ReflectionPad1D "
    "ReflectionPad2D ReflectionPad3D ReplicationPad1D ReplicationPad2D ReplicationPad3D ReshapeAlias Roll Select Slice "
    "Split SplitWithSizes Squeeze Stack SwapAxes T ToCopy Transpose Unbind Unflatten Unfold UnsafeSplit UnsafeView "
    "Unsqueeze View"
)
LINEAR = MOVING | words(
    "Add AdaptiveAvgPool1D AdaptiveAvgPool2D AdaptiveAvgPool3D AvgPool2D AvgPool3D Col2Im Im2Col MaskedFill Mean "
    "NativeDropout Neg Rsub Sub Sum UpsampleBicubic2D UpsampleBilinear2D UpsampleLinear1D UpsampleNearest1D "
    "UpsampleNearest2D UpsampleNearest3D UpsampleNearestExact2D UpsampleTrilinear3D Where"
)
WINNERS = words(
    "Abs AdaptiveMaxPool2D AdaptiveMaxPool3D Amax Amin LeakyRelu Max MaxPool2DWithIndices MaxPool3DWithIndices Maximum "
    "Min Minimum PreluKernel Relu RreluWithNoise Threshold"
)
PRODUCTS = {"Mul": 0, "Mm": 0, "Bmm": 0, "Mv": 0, "Dot": 0, "Convolution": 0, "Linear": 0, "Addmm": 1, "Baddbmm": 1}
GATES = {"Softmax": 2, "SafeSoftmax": 2, "Sigmoid": 2, "Hardsigmoid": 2, "Rsqrt": 2, "Reciprocal": 2}
GATES |= {"Tanh": 1, "Erf": 1, "Hardtanh": 1, "Clamp": 1}
ACTIVATIONS: dict[str, Callable[[Any], tuple[Tensor, Tensor]]] = {
    "Silu": lambda node: _of(node, functional.silu),
    "Gelu": lambda node: _of(node, lambda z: functional.gelu(z, approximate=node._saved_approximate)),
    "Mish": lambda node: _of(node, functional.mish),
    "Hardswish": lambda node: _of(node, functional.hardswish),
    "Elu": lambda node: _of(node, lambda z: _elu(z, node)),
    "Celu": lambda node: _of(node, lambda z: functional.celu(z, float(node._saved_alpha))),
    "Hardtanh": lambda node: _of(node, lambda z: z.clamp(node._saved_min_val, node._saved_max_val)),
    "Clamp": lambda node: _of(node, lambda z: z.clamp(node._saved_min, node._saved_max)),
    "ClampMin": lambda node: _of(node, lambda z: z.clamp(min=node._saved_min)),
    "ClampMax": lambda node: _of(node, lambda z: z.clamp(max=node._saved_max)),
    "Pow": lambda node: _of(node, lambda z: z.pow(node._saved_exponent)),
    "Tanh": lambda node: (torch.atanh(node._saved_result.clamp(-EDGE, EDGE)), node._saved_result),
    "Softplus": lambda node: _of(node, lambda z: functional.softplus(z, node._saved_beta, node._saved_threshold)),
    "Hardsigmoid": lambda node: _of(node, functional.hardsigmoid),
    "Sigmoid": lambda node: (torch.logit(node._saved_result, 1 - EDGE), node._saved_result),
}
EDGE = 1 - 1e-6
NOT_0_AT_0 = words("Softplus Hardsigmoid Sigmoid ClampMin ClampMax")


def relevance(plan: Plan, target: Target, image: Tensor, sharing: Sharing) -> Tensor:
    """Share the value of a target out among the pixels.

    Args:
        plan: The model and its layers.
        target: The target.
        image: float (c, h, w), preprocessed.
        sharing: Which rule shares what.

    Returns:
        float (c, h, w); its sum is the target's value less what biases and other constants keep.

    Raises:
        LurkError: The network computes the target by an operation that has no rule.
    """
    batch = image[None].detach().clone()
    if sharing.first is not None:  # relevance for each unit of a pixel, which a pixel of 0 could not hold
        batch = torch.where(batch == 0, torch.finfo(batch.dtype).eps, batch)
    batch.requires_grad_()
    with explaining(plan, target) as forward:
        numbers = _shared(forward, batch, sharing)
        if not numbers.requires_grad:  # nothing on the way depends on the image
            return torch.zeros_like(image)
        with altered(rules(numbers)):
            (found,) = torch.autograd.grad(numbers, batch, torch.ones_like(numbers), allow_unused=True)
    return torch.zeros_like(image) if found is None else (batch.detach() * found)[0]


def refusal(plan: Plan, target: Target, image: Tensor) -> str:
    """Why the value of a target cannot be shared out; empty where it can."""
    batch = image[None].detach().clone().requires_grad_()
    with explaining(plan, target) as forward:
        numbers = _shared(forward, batch, Sharing())
        try:
            rules(numbers)
        except LurkError as error:
            return str(error)
    return ""


def _shared(forward: Callable[[Tensor], tuple[Tensor, object]], batch: Tensor, sharing: Sharing) -> Tensor:
    def reads_image(x: Tensor) -> bool:
        node = x.grad_fn
        while node is not None and kind(node) in MOVING and len(node.next_functions) == 1:
            node = node.next_functions[0][0]
        is_moved = node is not None and getattr(node, "variable", None) is batch
        return is_moved and (sharing.first != "box" or x.shape == batch.shape)

    with Catching(sharing, reads_image):
        return forward(batch)[0]


def kind(node: Node) -> str:
    """Name of the operation that a node of the graph goes back through."""
    name = node.name().removeprefix("torch::autograd::").rstrip("0123456789")
    return name.removesuffix("Backward")


def rules(number: Tensor) -> dict[Node, Alter]:
    """What to change at which nodes of the graph behind a number, so that relevance goes back along it.

    Args:
        number: float, computed within `Catching`.

    Returns:
        The changes.

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
        alter, closed = _rule(node)
        if alter is not None:
            found[node] = alter
        waiting += [before for at, (before, _) in enumerate(node.next_functions) if at not in closed]
    return found


def _rule(node: Node) -> tuple[Alter | None, tuple[int, ...]]:
    """The change at a node, and the places of the inputs that get nothing."""
    name = kind(node)
    if _is_shared(node, name):
        return None, ()
    if name in PRODUCTS:
        return _product(node, PRODUCTS[name])
    if name == "Div" and _given(node, 0):
        return _closing(1)
    if name.startswith("ScaledDotProduct"):
        return _closing(0, 1)
    if name in NORMS:
        return NORMS[name](node), ()
    if name in ACTIVATIONS and (name != "Pow" or getattr(node, "_saved_exponent", 0) > 0):
        z, a = ACTIVATIONS[name](node)
        return _passing(z.detach(), a.detach(), stable=name in NOT_0_AT_0), ()
    raise LurkError(_unknown(node, name))


def _is_shared(node: Node, name: str) -> bool:
    """Whether what comes down through a node is right as it is."""
    fixed = name.endswith("BatchNorm") and not getattr(node, "_saved_training", True)
    return fixed or name in LINEAR or name in WINNERS or getattr(type(node), "_forward_cls", None) is Shared


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


def _given(node: Node, at: int) -> bool:
    """Whether an input of a node depends on the image."""
    return at < len(node.next_functions) and node.next_functions[at][0] is not None


def _product(node: Node, first: int) -> tuple[Alter | None, tuple[int, ...]]:
    if not (_given(node, first) and _given(node, first + 1)):
        return None, ()
    ranks = [_gate(node.next_functions[first + at][0]) for at in (0, 1)]
    if ranks[0] == ranks[1]:
        saved: Any = node
        ranks = [-saved._saved_self.numel(), -saved._saved_other.numel()] if kind(node) == "Mul" else ranks
    if ranks[0] == ranks[1]:
        raise LurkError(f"its operation {kind(node)} multiplies two values of which none is a gate, and has no rule")
    return _closing(first + (ranks[1] > ranks[0]))


def _gate(node: Node | None) -> int:
    """How much a value is a gate: 2 for a sigmoid, softmax or divisor, 1 for another bounded one, else 0."""
    while node is not None and kind(node) not in GATES:
        inputs = [before for before, _ in node.next_functions if before is not None]
        if kind(node) not in MOVING | {"Add", "Sub", "Rsub", "Mul", "Div", "NativeDropout"} or len(inputs) != 1:
            return 0
        node = inputs[0]
    return 0 if node is None else GATES[kind(node)]


def _closing(*places: int) -> tuple[Alter, tuple[int, ...]]:
    def alter(given: Gradients, _signal: Gradients) -> Gradients:
        return tuple(None if at in places else value for at, value in enumerate(given))

    return alter, places


def _passing(z: Tensor, a: Tensor, *, stable: bool) -> Alter:
    def alter(given: Gradients, signal: Gradients) -> Gradients | None:
        if signal[0] is None or given[0] is None:
            return None
        whole = signal[0] * a / (stabilised(z, 1 - EDGE) if stable else z)
        return (torch.where(z == 0, given[0], whole), *given[1:])

    return alter


def _of(node: Any, function: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    return node._saved_self, function(node._saved_self)


def _elu(z: Tensor, node: Any) -> Tensor:
    low = torch.expm1(z * node._saved_input_scale) * node._saved_alpha
    whole: Tensor = torch.where(z > 0, z, low) * node._saved_scale
    return whole


def _layer_norm(node: Any) -> Alter:
    scale = node._saved_result2 if node._saved_weight is None else node._saved_result2 * node._saved_weight
    axes = tuple(range(-len(node._saved_normalized_shape), 0))

    def alter(given: Gradients, signal: Gradients) -> Gradients | None:
        if signal[0] is None:
            return None
        scaled = signal[0] * scale
        return (scaled - scaled.mean(axes, keepdim=True), *given[1:])

    return alter


def _group_norm(node: Any) -> Alter:
    deviation, weight, groups = node._saved_result2, node._saved_weight, int(node._saved_group)

    def alter(given: Gradients, signal: Gradients) -> Gradients | None:
        if signal[0] is None:
            return None
        above = signal[0]
        scaled = above if weight is None else above * weight.view(-1, *[1] * (above.dim() - 2))
        parts = scaled.reshape(len(above), groups, -1) * deviation.view(len(above), groups, 1)
        return ((parts - parts.mean(2, keepdim=True)).view_as(above), *given[1:])

    return alter


NORMS: dict[str, Callable[[Any], Alter]] = {"NativeLayerNorm": _layer_norm, "NativeGroupNorm": _group_norm}
