"""Layer-wise relevance propagation: the value of a target shared out among the pixels, layer by layer.

`lurk.contributions` shares the relevance of weighted sums. Everything else is read off the graph that autograd
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

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction
from torch.autograd.graph import Node
from torch.nn import functional

from lurk.contributions import Catching, Sharing, stabilised
from lurk.errors import LurkError
from lurk.hooks import Alter, altered
from lurk.target import Target, explaining

if TYPE_CHECKING:
    from lurk.graph import Plan

Gradients = tuple[Tensor | None, ...]


def words(text: str) -> frozenset[str]:
    """Set of the words of a text."""
    return frozenset(text.split())


MOVING = words(
    "Alias AsStrided Cat ChannelShuffle Clone ConstantPadNd Contiguous Copy Detach Diagonal Expand Flip Gather Index "
    "IndexSelect Movedim NativeChannelShuffle Permute PixelShuffle PixelUnshuffle Repeat ReplicationPad1D "
    "ReplicationPad2D ReplicationPad3D ReflectionPad1D ReflectionPad2D ReflectionPad3D ReshapeAlias Roll Select Slice "
    "Split SplitWithSizes UnsafeSplit Squeeze Stack SwapAxes T ToCopy Transpose Unbind Unflatten Unfold UnsafeView "
    "Unsqueeze View"
)
LINEAR = MOVING | words(
    "AccumulateGrad Add AdaptiveAvgPool1D AdaptiveAvgPool2D AdaptiveAvgPool3D AvgPool2D AvgPool3D Col2Im Im2Col "
    "MaskedFill Mean MkldnnConvolution Mv NativeDropout Neg Rsub Sub Sum UpsampleBicubic2D UpsampleBilinear2D "
    "UpsampleLinear1D UpsampleNearest1D UpsampleNearest2D UpsampleNearest3D UpsampleNearestExact2D UpsampleTrilinear3D "
    "_Shared Where"
)
WINNERS = words(
    "AdaptiveMaxPool2D AdaptiveMaxPool3D Amax Max MaxPool2DWithIndices MaxPool3DWithIndices MaxPool2D Maximum Min "
    "Minimum Abs Relu LeakyRelu PreluKernel RreluWithNoise"
)
PASSING: dict[str, Callable[[Any], tuple[Tensor, Tensor]]] = {
    "Silu": lambda node: (node._saved_self, functional.silu(node._saved_self)),
    "Gelu": lambda node: (
        node._saved_self,
        functional.gelu(node._saved_self, approximate=node._saved_approximate),
    ),
    "Mish": lambda node: (node._saved_self, functional.mish(node._saved_self)),
    "Hardswish": lambda node: (node._saved_self, functional.hardswish(node._saved_self)),
    "Elu": lambda node: (
        node._saved_self,
        torch.where(
            node._saved_self > 0,
            node._saved_self,
            node._saved_alpha * torch.expm1(node._saved_self * node._saved_input_scale),
        )
        * node._saved_scale,
    ),
    "Celu": lambda node: (node._saved_self, functional.celu(node._saved_self, float(node._saved_alpha))),
    "Softplus": lambda node: (
        node._saved_self,
        functional.softplus(node._saved_self, node._saved_beta, node._saved_threshold),
    ),
    "Hardtanh": lambda node: (node._saved_self, node._saved_self.clamp(node._saved_min_val, node._saved_max_val)),
    "Clamp": lambda node: (node._saved_self, node._saved_self.clamp(node._saved_min, node._saved_max)),
    "ClampMin": lambda node: (node._saved_self, node._saved_self.clamp(min=node._saved_min)),
    "ClampMax": lambda node: (node._saved_self, node._saved_self.clamp(max=node._saved_max)),
    "Threshold": lambda node: (
        node._saved_self,
        node._saved_self.where(node._saved_self > node._saved_threshold, torch.zeros_like(node._saved_self)),
    ),
    "Hardsigmoid": lambda node: (node._saved_self, functional.hardsigmoid(node._saved_self)),
    "Sigmoid": lambda node: (torch.logit(node._saved_result, 1e-6), node._saved_result),
    "Tanh": lambda node: (torch.atanh(node._saved_result.clamp(-0.999999, 0.999999)), node._saved_result),
}
