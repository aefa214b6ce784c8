"""What the first batch normalisation of a network meets, against what it has met in training.

Axes: n images, c channels.
"""

import math
from collections.abc import Iterable
from contextlib import suppress

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lurk.graph.hooks import evaluating, watching

LEAST_WEIGHT = 1e-3  # of the largest: a channel with less is switched off, and its numbers say nothing


class _EnoughError(BaseException):  # no Exception, because a model might catch it
    """Ends a forward pass after the first batch normalisation."""


def misfit(module: nn.Module, batches: Iterable[Tensor]) -> tuple[float, float] | None:
    """Measure how far the inputs of the first batch normalisation are from its running statistics.

    Args:
        module: The network; it is left as it was.
        batches: float (n, c, h, w), on the network's device and of its type.

    Returns:
        Medians over the channels: how far their mean is from the running one, in running deviations, and the factor
        between their deviation and the running one, whichever is larger. 0 and 1 for the training set itself. None
        without a batch normalisation that has running statistics.
    """
    norms = {name: part for name, part in module.named_modules() if isinstance(part, _BatchNorm) and _is_fit(part)}
    total: list[Tensor] = []  # count, sum and sum of squares of each channel

    def see(name: str, output: object) -> None:
        if isinstance(output, Tensor):
            numbers = _standardised(output, norms[name.partition(":")[0]])
            count = numbers.new_full((numbers.shape[0],), float(numbers.shape[1]))
            total.append(torch.stack([count, numbers.sum(1), numbers.square().sum(1)]).cpu())
        raise _EnoughError

    for batch in batches:
        with torch.inference_mode(), evaluating(module), watching(module, set(norms), see), suppress(_EnoughError):
            module(batch)
    if not total:
        return None
    count, sums, squares = torch.stack(total).sum(0)
    mean = sums / count
    spread = (squares / count - mean.square()).clamp(min=1e-12).sqrt()
    return float(mean.abs().median()), math.exp(float(spread.log().abs().median()))


def _is_fit(norm: _BatchNorm) -> bool:
    return norm.running_mean is not None and norm.running_var is not None


def _standardised(output: Tensor, norm: _BatchNorm) -> Tensor:
    """What a batch normalisation has standardised, before weight and bias, float64 (c, values)."""
    numbers = output.double().movedim(1, 0).flatten(1)
    if not norm.affine:
        return numbers
    weight, bias = norm.weight.double(), norm.bias.double()
    live = weight.abs() > LEAST_WEIGHT * weight.abs().max()
    return (numbers[live] - bias[live, None]) / weight[live, None]
