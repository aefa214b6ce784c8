"""How a weighted sum shares its relevance among its inputs: the rules of layer-wise relevance propagation.

A convolution or linear layer computes z = sum of x·w over its inputs, plus b. Of the relevance R of z an input gets

    epsilon   x·w / (z ± ε·rms(z)) · R                   Bach et al., 2015
    gamma     (x·w + γ·(x·w)⁺) / (the same summed) · R    Montavon et al., 2019
    plus      (x·w)⁺ / (the same summed) · R              Montavon et al., 2017, also called z⁺ or α1β0

where (·)⁺ is the part with the sign of z: for z < 0, which occurs if no rectifier follows, the contributions below 0
take the place of those above. With `epsilon` and `gamma` the bias keeps its share, b, of z. For the layer that reads
the pixels `flat` shares evenly, and `box` by x·w − l·w⁺ − h·w⁻ with l and h the bounds of a pixel.

The sums run inside `CatchWeightedSums`, wherever they are called; a batch normalisation that directly follows one is
first multiplied into its weights. What goes back through the graph of autograd is not R but R/x, the relevance for each
unit of a value: every operation that is linear then does the right thing by its own derivative.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from lurk.errors import LurkError

Rule = Literal["epsilon", "gamma", "plus", "flat", "box"]
Apply = Callable[[Tensor, Tensor, Tensor | None], Tensor]
TRANSPOSED = {torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d}
CONVOLUTIONS = {torch.conv1d, torch.conv2d, torch.conv3d} | TRANSPOSED
NORMS = {
    functional.batch_norm: ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps"),
    torch.batch_norm: ("input", "weight", "bias", "running_mean", "running_var", "training", "momentum", "eps"),
}


@dataclass(frozen=True)
class RuleSet:
    """Which layers share by which rule.

    Args:
        convolution: Rule of convolutions.
        linear: Rule of linear layers.
        first: Rule of a convolution or linear layer that reads the image itself; None for the rule of its kind.
        epsilon: ε, as a share of the root mean square of the sums of a layer.
        gamma: γ.
        low: float (c, 1, 1), lowest value of a pixel; for `box`.
        high: float (c, 1, 1), highest value of a pixel; for `box`.
    """

    convolution: Rule = "epsilon"
    linear: Rule = "epsilon"
    first: Rule | None = None
    epsilon: float = 1e-6
    gamma: float = 0.25
    low: Tensor | None = None
    high: Tensor | None = None


@dataclass(frozen=True)
class _Sum:
    """A weighted sum as it was called.

    Args:
        apply: Applies weights and a bias to an input.
        weight: The weights.
        bias: The bias, or None.
        groups: Groups of a transposed convolution, else 0.
        rule: How it shares.
    """

    apply: Apply
    weight: Tensor
    bias: Tensor | None
    groups: int
    rule: Rule

    def of(self, x: Tensor, weight: Tensor) -> Tensor:
        """Return the sums of an input with other weights and no bias."""
        return self.apply(x, weight, None)

    def transposed(self, x: Tensor, weight: Tensor, shares: Tensor) -> Tensor:
        """Return what the sums give back to each input: their transpose, applied to a number for each sum."""
        with torch.enable_grad():
            leaf = torch.zeros_like(x, requires_grad=True)
            (found,) = torch.autograd.grad(self.of(leaf, weight), leaf, shares)
        return found

    def scaled(self, scale: Tensor, bias: Tensor) -> "_Sum":
        """Return the sum with a factor for each output channel in its weights, and another bias."""
        if not self.groups:
            return replace(self, weight=self.weight * scale.view(-1, *[1] * (self.weight.dim() - 1)), bias=bias)
        parts = self.weight.view(self.groups, -1, *self.weight.shape[1:])
        weight = (parts * scale.view(self.groups, 1, -1, *[1] * (self.weight.dim() - 2))).view_as(self.weight)
        return replace(self, weight=weight, bias=bias)


class WeightedSum(torch.autograd.Function):
    """A weighted sum whose backward pass shares relevance by a rule."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, total: _Sum, rules: RuleSet) -> Tensor:
        """Compute the sum."""
        z = total.apply(x, total.weight, total.bias)
        ctx.save_for_backward(x, z.clone())
        ctx.total, ctx.rules = total, rules
        return z

    @staticmethod
    def backward(ctx: Any, *signals: Tensor) -> tuple[Tensor, None, None]:
        """Turn the relevance for each unit of the sum into that for each unit of an input."""
        x, z = ctx.saved_tensors
        return _SHARE[ctx.total.rule](ctx.total, ctx.rules, x, z, signals[0] * z), None, None


class CatchWeightedSums(TorchFunctionMode):
    """Within it every convolution and linear layer whose input depends on the image shares by a rule.

    Args:
        rules: Which layers share by which rule.
        reads_image: Whether a tensor is the image, in another order of pixels at most.
    """

    def __init__(self, rules: RuleSet, reads_image: Callable[[Tensor], bool]) -> None:
        super().__init__()
        self._rules, self._reads_image = rules, reads_image
        self._outputs: dict[int, tuple[Tensor, int, Tensor, _Sum]] = {}  # output, its version, input, sum

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        output = None
        if func in CONVOLUTIONS or func is functional.linear:
            output = self._weighted(func, args, given)
        elif func in NORMS:
            output = self._folded({**dict(zip(NORMS[func], args, strict=False)), **given})
        return func(*args, **given) if output is None else output

    def _weighted(self, func: Any, args: tuple[Any, ...], given: dict[str, Any]) -> Tensor | None:
        """The output of a weighted sum; None if its input does not depend on the image."""
        named = {**dict(zip(("input", "weight", "bias"), args, strict=False)), **given}
        x, weight, bias = named.pop("input"), named.pop("weight"), named.pop("bias", None)
        if not x.requires_grad or weight.requires_grad or (bias is not None and bias.requires_grad):
            return None
        if torch.is_autocast_enabled(x.device.type):
            raise LurkError("it computes in mixed precision (autocast), which has no rule; give the network without it")
        if weight.is_complex():
            raise LurkError("it computes with complex numbers, which have no rule")

        def apply(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
            output: Tensor = func(x, weight, bias, *args[3:], **named)
            return output

        groups = int(named.get("groups", args[6] if len(args) > 6 else 1)) if func in TRANSPOSED else 0
        rule = self._rules.linear if func is functional.linear else self._rules.convolution
        if self._rules.first is not None and self._reads_image(x):
            rule = self._rules.first
        return self._run(x, _Sum(apply, weight, bias, groups, rule))

    def _run(self, x: Tensor, total: _Sum) -> Tensor:
        output: Tensor = WeightedSum.apply(x, total, self._rules)
        self._outputs[id(output)] = (output, output._version, x, total)
        return output

    def _folded(self, named: dict[str, Any]) -> Tensor | None:
        """The sum with the normalisation multiplied into its weights; None if that is not possible."""
        output, version, x, total = self._outputs.get(id(named["input"]), (None, 0, None, None))
        mean, var = named.get("running_mean"), named.get("running_var")
        if output is None or x is None or total is None or output._version != version or named.get("training"):
            return None
        if mean is None or var is None or (output.dim() == 3 and total.weight.dim() == 2):
            return None
        scale = (var + named.get("eps", 1e-5)).rsqrt()
        scale = scale if named.get("weight") is None else scale * named["weight"]
        shift = -mean * scale if total.bias is None else (total.bias - mean) * scale
        shift = shift if named.get("bias") is None else shift + named["bias"]
        return self._run(x, total.scaled(scale, shift))


def _ratio(relevance: Tensor, total: Tensor) -> Tensor:
    """Relevance for each unit of a sum, 0 if the sum is 0."""
    return torch.where(total == 0, torch.zeros_like(total), relevance / torch.where(total == 0, 1.0, total))


def stabilized(z: Tensor, epsilon: float) -> Tensor:
    """Return values moved away from 0 by ε times their root mean square."""
    size = z.pow(2).mean(tuple(range(1, z.dim())), keepdim=True).sqrt() if z.dim() > 1 else z.abs()
    return z + epsilon * size * torch.where(z < 0, -1.0, 1.0).to(z.dtype)


def _epsilon(total: _Sum, rules: RuleSet, x: Tensor, z: Tensor, relevance: Tensor) -> Tensor:
    return total.transposed(x, total.weight, _ratio(relevance, stabilized(z, rules.epsilon)))


def _alike(total: _Sum, x: Tensor, z: Tensor, relevance: Tensor) -> Tensor:
    """Sum of the contributions of inputs that have the sign of their sum, where it has relevance."""
    high, low = total.weight.clamp(min=0), total.weight.clamp(max=0)
    found = torch.zeros_like(z)
    for sign, one, two in ((z > 0, high, low), (z <= 0, low, high)):
        if not bool(relevance[sign].any()):  # a rectifier follows
            continue
        part = total.of(x.clamp(min=0), one)
        if not bool((x >= 0).all()):
            part = part + total.of(x.clamp(max=0), two)
        found = torch.where(sign, part, found)
    return found


def _favoured(total: _Sum, x: Tensor, z: Tensor, shares: Tensor) -> Tensor:
    """What goes back along the contributions that have the sign of their sum."""
    high, low = total.weight.clamp(min=0), total.weight.clamp(max=0)
    found = torch.zeros_like(x)
    for part, one, two in ((shares * (z > 0), high, low), (shares * (z <= 0), low, high)):
        if not bool(part.any()):
            continue
        given = total.transposed(x, one, part)
        if not bool((x >= 0).all()):
            given = torch.where(x >= 0, given, total.transposed(x, two, part))
        found += given
    return found


def _plus(total: _Sum, _rules: RuleSet, x: Tensor, z: Tensor, relevance: Tensor) -> Tensor:
    return _favoured(total, x, z, _ratio(relevance, _alike(total, x, z, relevance)))


def _gamma(total: _Sum, rules: RuleSet, x: Tensor, z: Tensor, relevance: Tensor) -> Tensor:
    whole = z + rules.gamma * _alike(total, x, z, relevance)
    shares = _ratio(relevance, stabilized(whole, rules.epsilon))
    return total.transposed(x, total.weight, shares) + rules.gamma * _favoured(total, x, z, shares)


def _flat(total: _Sum, _rules: RuleSet, x: Tensor, _z: Tensor, relevance: Tensor) -> Tensor:
    ones = torch.ones_like(total.weight)
    shares = _ratio(relevance, total.of(torch.ones_like(x), ones))
    return _ratio(total.transposed(x, ones, shares), x)


def _box(total: _Sum, rules: RuleSet, x: Tensor, _z: Tensor, relevance: Tensor) -> Tensor:
    if rules.low is None or rules.high is None:
        raise ValueError("the box rule needs the bounds of a pixel")
    parts = (x, total.weight), (-rules.low, total.weight.clamp(min=0)), (-rules.high, total.weight.clamp(max=0))
    whole = torch.stack([total.of(bound.expand_as(x), weight) for bound, weight in parts]).sum(0)
    shares = _ratio(relevance, stabilized(whole, rules.epsilon))
    given = torch.stack([bound * total.transposed(x, weight, shares) for bound, weight in parts]).sum(0)
    return _ratio(given, x)


_SHARE: dict[Rule, Callable[[_Sum, RuleSet, Tensor, Tensor, Tensor], Tensor]] = {
    "epsilon": _epsilon,
    "gamma": _gamma,
    "plus": _plus,
    "flat": _flat,
    "box": _box,
}
