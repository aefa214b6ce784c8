"""How a weighted sum shares its relevance among its inputs: the rules of layer-wise relevance propagation.

A convolution or linear layer computes z = sum of x·w over its inputs, plus b. Of the relevance R of z an input gets

    epsilon   x·w / (z ± ε·rms(z)) · R                   Bach et al., 2015
    gamma     (x·w + γ·(x·w)⁺) / (the same summed) · R    Montavon et al., 2019
    plus      (x·w)⁺ / (the same summed) · R              Montavon et al., 2017, also called z⁺ or α1β0

where (·)⁺ is the part with the sign of z: for z < 0, which occurs without a rectifier behind it, the contributions
below 0 take the place of those above. With `epsilon` and `gamma` the bias keeps its share, b, of z. For the layer that
reads the pixels `flat` shares evenly, and `box` by x·w − l·w⁺ − h·w⁻ with l and h the bounds of a pixel.

The sums run inside `Sharing`, which catches them wherever they are called; a batch normalisation that directly
follows one is first multiplied into its weights. What goes back through the graph of autograd is not R but R/x, the
relevance for each unit of a value: every operation that is linear then does the right thing by its own derivative.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

Share = Literal["epsilon", "gamma", "plus", "flat", "box"]
Apply = Callable[[Tensor, Tensor, Tensor | None], Tensor]
TRANSPOSED = {torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d}
CONVOLUTIONS = {torch.conv1d, torch.conv2d, torch.conv3d} | TRANSPOSED
NORMS = {
    functional.batch_norm: ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps"),
    torch.batch_norm: ("input", "weight", "bias", "running_mean", "running_var", "training", "momentum", "eps"),
}


@dataclass(frozen=True)
class Sharing:
    """Which rule shares what.

    Args:
        convolution: Rule of convolutions.
        dense: Rule of linear layers.
        first: Rule of a convolution or linear layer that reads the image itself; None for that of its kind.
        epsilon: ε, as a share of the root mean square of the sums of a layer.
        gamma: γ.
        low: float (c, 1, 1), lowest value of a pixel; for `box`.
        high: float (c, 1, 1), highest value of a pixel; for `box`.
    """

    convolution: Share = "epsilon"
    dense: Share = "epsilon"
    first: Share | None = None
    epsilon: float = 1e-6
    gamma: float = 0.25
    low: Tensor | None = None
    high: Tensor | None = None


@dataclass(frozen=True)
class _Sum:
    """A weighted sum as it was called: what applies weights, weights, bias, what scales the outputs, and a rule."""

    apply: Apply
    weight: Tensor
    bias: Tensor | None
    spread: Callable[[Tensor], Tensor]
    share: Share

    def __call__(self, x: Tensor) -> Tensor:
        return self.apply(x, self.weight, self.bias)


class Shared(torch.autograd.Function):
    """A weighted sum whose signal is shared by a rule."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, total: _Sum, sharing: Sharing) -> Tensor:
        """The sum."""
        z = total(x)
        ctx.save_for_backward(x, z.clone())
        ctx.total, ctx.sharing = total, sharing
        return z

    @staticmethod
    def backward(ctx: Any, *signals: Tensor) -> tuple[Tensor, None, None]:
        """Relevance for each unit of an input, from that for each unit of the sum."""
        x, z = ctx.saved_tensors
        relevance = signals[0] * z
        return _SHARES[ctx.total.share](ctx.total, ctx.sharing, x, z, relevance), None, None


class Catching(TorchFunctionMode):
    """Within it every convolution and linear layer whose input depends on the image shares by a rule.

    Args:
        sharing: Which rule shares what.
        reads_image: Whether a tensor is the image, in another order of pixels at most.
    """

    def __init__(self, sharing: Sharing, reads_image: Callable[[Tensor], bool]) -> None:
        super().__init__()
        self._sharing, self._reads_image = sharing, reads_image
        self._made: dict[int, tuple[Tensor, int, Tensor, _Sum]] = {}

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        if func in CONVOLUTIONS or func is functional.linear:
            return self._weighted(func, args, given)
        if func in NORMS:
            named = {**dict(zip(NORMS[func], args, strict=False)), **given}
            folded = self._folded(named)
            return func(*args, **given) if folded is None else folded
        return func(*args, **given)

    def _weighted(self, func: Any, args: tuple[Any, ...], given: dict[str, Any]) -> Any:
        named = {**dict(zip(("input", "weight", "bias"), args, strict=False)), **given}
        x, weight, bias = named.pop("input"), named.pop("weight"), named.pop("bias", None)
        if not x.requires_grad or weight.requires_grad or (bias is not None and bias.requires_grad):
            return func(*args, **given)

        def apply(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
            output: Tensor = func(x, weight, bias, *args[3:], **named)
            return output

        groups = int(named.get("groups", args[6] if len(args) > 6 else 1))

        def spread(scale: Tensor) -> Tensor:
            return _scaled(weight, scale, groups if func in TRANSPOSED else 0)

        return self._run(x, _Sum(apply, weight, bias, spread, self._share(func, x)))

    def _share(self, func: Any, x: Tensor) -> Share:
        if self._sharing.first is not None and self._reads_image(x):
            return self._sharing.first
        return self._sharing.dense if func is functional.linear else self._sharing.convolution

    def _run(self, x: Tensor, total: _Sum) -> Tensor:
        output: Tensor = Shared.apply(x, total, self._sharing)
        self._made[id(output)] = (output, output._version, x, total)
        return output

    def _folded(self, named: dict[str, Any]) -> Tensor | None:
        """The sum with the normalisation multiplied into its weights; None where that cannot be."""
        output, version, x, total = self._made.get(id(named["input"]), (None, 0, None, None))
        mean, var = named.get("running_mean"), named.get("running_var")
        if output is None or x is None or total is None or output._version != version or named.get("training"):
            return None
        if mean is None or var is None or (output.dim() == 3 and total.weight.dim() == 2):
            return None
        scale = (var + named.get("eps", 1e-5)).rsqrt()
        scale = scale if named.get("weight") is None else scale * named["weight"]
        shift = -mean * scale if total.bias is None else (total.bias - mean) * scale
        shift = shift if named.get("bias") is None else shift + named["bias"]
        return self._run(x, _Sum(total.apply, total.spread(scale), shift, total.spread, total.share))


def _scaled(weight: Tensor, scale: Tensor, groups: int) -> Tensor:
    """Weights times a number for each output channel; `groups` is that of a transposed convolution, else 0."""
    if not groups:
        return weight * scale.view(-1, *[1] * (weight.dim() - 1))
    parts = weight.view(groups, -1, *weight.shape[1:])
    return (parts * scale.view(groups, 1, -1, *[1] * (weight.dim() - 2))).view_as(weight)


def _pulled(total: _Sum, x: Tensor, weight: Tensor, shares: Tensor) -> Tensor:
    """What the sums give back to each input: the sum's transpose, applied to a number for each sum."""
    with torch.enable_grad():
        leaf = torch.zeros_like(x, requires_grad=True)
        (found,) = torch.autograd.grad(total.apply(leaf, weight, None), leaf, shares)
    return found


def _ratio(relevance: Tensor, total: Tensor) -> Tensor:
    """Relevance for each unit of a sum, 0 where the sum is 0."""
    return torch.where(total == 0, torch.zeros_like(total), relevance / torch.where(total == 0, 1.0, total))


def stabilised(z: Tensor, epsilon: float) -> Tensor:
    """Values moved away from 0 by ε times their root mean square."""
    size = z.pow(2).mean(tuple(range(1, z.dim())), keepdim=True).sqrt() if z.dim() > 1 else z.abs()
    return z + epsilon * size * torch.where(z < 0, -1.0, 1.0).to(z.dtype)


def _epsilon(total: _Sum, sharing: Sharing, x: Tensor, z: Tensor, relevance: Tensor) -> Tensor:
    return _pulled(total, x, total.weight, _ratio(relevance, stabilised(z, sharing.epsilon)))


def _alike(total: _Sum, x: Tensor, z: Tensor, relevance: Tensor) -> Tensor:
    """Sum of the contributions of inputs that have the sign of their sum, where it has relevance."""
    high, low = total.weight.clamp(min=0), total.weight.clamp(max=0)
    found = torch.zeros_like(z)
    for sign, one, two in ((z > 0, high, low), (z <= 0, low, high)):
        if not bool(relevance[sign].any()):  # a rectifier follows
            continue
        part = total.apply(x.clamp(min=0), one, None)
        if not bool((x >= 0).all()):
            part = part + total.apply(x.clamp(max=0), two, None)
        found = torch.where(sign, part, found)
    return found


def _favoured(total: _Sum, x: Tensor, z: Tensor, shares: Tensor) -> Tensor:
    """What goes back along the contributions that have the sign of their sum."""
    high, low = total.weight.clamp(min=0), total.weight.clamp(max=0)
    found = torch.zeros_like(x)
    for part, one, two in ((shares * (z > 0), high, low), (shares * (z <= 0), low, high)):
        if not bool(part.any()):
            continue
        given = _pulled(total, x, one, part)
        if not bool((x >= 0).all()):
            given = torch.where(x >= 0, given, _pulled(total, x, two, part))
        found += given
    return found


def _plus(total: _Sum, _sharing: Sharing, x: Tensor, z: Tensor, relevance: Tensor) -> Tensor:
    return _favoured(total, x, z, _ratio(relevance, _alike(total, x, z, relevance)))


def _gamma(total: _Sum, sharing: Sharing, x: Tensor, z: Tensor, relevance: Tensor) -> Tensor:
    whole = z + sharing.gamma * _alike(total, x, z, relevance)
    shares = _ratio(relevance, stabilised(whole, sharing.epsilon))
    return _pulled(total, x, total.weight, shares) + sharing.gamma * _favoured(total, x, z, shares)


def _flat(total: _Sum, _sharing: Sharing, x: Tensor, _z: Tensor, relevance: Tensor) -> Tensor:
    ones = torch.ones_like(total.weight)
    shares = _ratio(relevance, total.apply(torch.ones_like(x), ones, None))
    return _ratio(_pulled(total, x, ones, shares), x)


def _box(total: _Sum, sharing: Sharing, x: Tensor, _z: Tensor, relevance: Tensor) -> Tensor:
    if sharing.low is None or sharing.high is None:
        raise ValueError("the box rule needs the bounds of a pixel")
    parts = (x, total.weight), (-sharing.low, total.weight.clamp(min=0)), (-sharing.high, total.weight.clamp(max=0))
    whole = sum(
        (total.apply(bound.expand_as(x), weight, None) for bound, weight in parts[1:]), total.apply(*parts[0], None)
    )
    shares = _ratio(relevance, stabilised(whole, sharing.epsilon))
    return _ratio(sum((bound * _pulled(total, x, weight, shares) for bound, weight in parts), torch.zeros_like(x)), x)


_SHARES: dict[Share, Callable[[_Sum, Sharing, Tensor, Tensor, Tensor], Tensor]] = {
    "epsilon": _epsilon,
    "gamma": _gamma,
    "plus": _plus,
    "flat": _flat,
    "box": _box,
}
