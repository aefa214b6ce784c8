"""The back-signal: one engine, three rules that differ at the non-linearities alone.

A signal goes back from a number to the image along the graph that autograd recorded of the operations that ran. It does
not matter whether they were called as modules or as functions, in place, or twice. With R the signal that comes to a
rectifier f from above and x the input of f:

    gradient   R · f'(x)                                   the derivative
    deconvnet  R · [R > 0]                                 Zeiler & Fergus, 2014, arXiv 1311.2901
    guided     R · f'(x) · [R > 0] · [f'(x) > 0]           Springenberg et al., 2015, arXiv 1412.6806

Rectifiers are ReLU, ReLU6 and other clamps from 0 upwards, thresholds at 0, the larger of a value and 0, LeakyReLU,
PReLU, RReLU, ELU, SELU, CELU, SiLU, GELU, Mish, Hardswish and Softplus, and the product of a value with a gate that is
computed from the same value alone, such as x · sigmoid(x), which is SiLU written out. An operation that lets through
what is below 0 is treated as the mirror image. Sigmoid, tanh, softmax and other gates, other products, max pooling (its
switches), normalisation and everything linear have their derivative under all three rules. An operation with a
derivative of its own, a choice by a mask, and a change in place of a part of a tensor may or may not rectify, which the
graph does not show: for such a network deconvnet and guided backprop are refused.
"""

from functools import partial
from typing import Literal

import torch
from torch import Tensor
from torch.autograd.graph import Node

from lurk.errors import LurkError
from lurk.graph.device import device_of
from lurk.graph.hooks import Alter, altered
from lurk.graph.partial_forward import partial_forward
from lurk.graph.plan import Plan
from lurk.graph.recorder import tensors_in
from lurk.methods import MapRequest
from lurk.methods.attribution.forward_pass import Passes, forward_pass
from lurk.methods.attribution.rectifier_search import Gradients, Rectifier, find_rectifiers, unclear_rectifier
from lurk.methods.attribution.target import Target

Rule = Literal["gradient", "deconvnet", "guided"]
RULES: tuple[Rule, ...] = ("gradient", "deconvnet", "guided")


def backpropagate(number: Tensor, image: Tensor, rule: Rule = "gradient", *, keep: bool = False) -> Tensor:
    """Send a signal of 1 from a number, or from each of several, back to the image.

    Args:
        number: float, any shape, computed from the image.
        image: float (n, c, h, w), which requires its gradient.
        rule: `gradient`, `deconvnet` or `guided`.
        keep: Whether the graph is needed again afterwards.

    Returns:
        float (n, c, h, w), what arrives at the image; zero if the number does not depend on it.

    Raises:
        LurkError: The rule is not defined for an operation of the network.
    """
    if rule not in RULES:
        raise LurkError(f"the rules of the back-signal are {', '.join(RULES)}, not {rule!r}")
    if number.grad_fn is None:
        return torch.zeros_like(image)
    alter: dict[Node, Alter] = {}
    if rule != "gradient":
        why = unclear_rectifier(number)
        if why:
            raise LurkError(f"{rule} cannot be had for this network: {why}")
        change = _deconvnet if rule == "deconvnet" else _guided
        alter = {node: partial(change, found) for node, found in find_rectifiers(number).items()}
    with altered(alter):
        (signal,) = torch.autograd.grad(number, image, torch.ones_like(number), retain_graph=keep, allow_unused=True)
    return torch.zeros_like(image) if signal is None else signal


def target_signal(
    plan: Plan, target: Target, images: Tensor, rule: Rule = "gradient", passes: Passes | None = None
) -> Tensor:
    """Send a signal from a target back to some images.

    Args:
        plan: The model and its layers.
        target: The target.
        images: float (n, c, h, w), preprocessed; each is explained by itself.
        rule: `gradient`, `deconvnet` or `guided`. For deconvnet a signal of 1 starts from each value of the target that
            is not exactly 0: as in the paper, a unit sends nothing back from where it is not active.
        passes: Keeps the forward pass of the images.

    Returns:
        float32 (n, c, h, w).

    Raises:
        LurkError: There is no such unit, position or class, or the rule is not defined for the network.
    """
    with forward_pass(plan, target, images, passes=passes) as done:
        values = target.parts(done.reached)
        starts = values[values != 0] if rule == "deconvnet" else values
        return backpropagate(starts, done.batch, rule, keep=done.bytes > 0).float()


def signal_map(request: MapRequest, rule: Rule = "gradient") -> Tensor:
    """Send a signal from the target of a request back to its images.

    Args:
        request: The request.
        rule: As in `target_signal`.

    Returns:
        float32 (n, c, h, w), signed.
    """
    signal = target_signal(request.plan, request.target, request.images, rule, request.passes)
    request.report(1, 1)
    return signal


def refuse_unclear_rectifiers(plan: Plan) -> str:
    """Why deconvnet and guided backprop are not defined for a network.

    Args:
        plan: The network, which runs once, on an image of noise.

    Returns:
        The reason, in the words of a message; empty if both are defined.
    """
    layer = plan.layers[-1].name
    try:
        with partial_forward(plan, [layer], to_the_end=True) as reach:
            noise = torch.randn(1, *plan.input_shape, generator=torch.Generator().manual_seed(0))
            reached = reach(noise.to(device_of(plan.module)).requires_grad_())
            return unclear_rectifier(reached[layer], *tensors_in(reached.output))
    except Exception as error:  # the model is the user's code
        return f"it fails on an image of noise: {type(error).__name__}: {(str(error).splitlines() or [''])[0]}"


def _deconvnet(found: Rectifier, given: Gradients, signal: Gradients) -> Gradients:
    above = signal[0]
    if above is None:
        return given
    return found.pass_on(given, found.gain * found.sign * (found.sign * above).clamp(min=0))


def _guided(found: Rectifier, given: Gradients, signal: Gradients) -> Gradients:
    below, above = found.derivative(given), signal[0]
    if below is None or above is None:
        return given
    return found.pass_on(given, found.sign * (found.sign * below).clamp(min=0) * (found.sign * above > 0))
