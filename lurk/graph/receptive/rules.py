"""What torch's basic operations do to coordinates; views and whatever else only moves values need no rule."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from typing import cast

import torch
from torch import Tensor

from lurk.graph.receptive.coordinates import contracted, core, everywhere, is_global, mixed, reshaped, slid, thin


@dataclass(frozen=True)
class Operation:
    """One operation as it runs.

    Args:
        name: Its name without overload, such as `convolution`.
        arguments: Every argument by name, defaults included.
        data: The tensors that depend on the image, at least one.
        shape: Shape of its first output.
    """

    name: str
    arguments: Mapping[str, object]
    data: Sequence[Tensor]
    shape: tuple[int, ...]

    def tensor(self, name: str) -> Tensor:
        """Return a tensor argument."""
        value = self.arguments[name]
        if not isinstance(value, Tensor):
            raise TypeError(f"{self.name}: {name} is no tensor")
        return value

    def numbers(self, name: str) -> list[int]:
        """Return a whole number or a list of them; empty if it was left out."""
        value = self.arguments.get(name)
        if isinstance(value, int):
            return [value]
        return [int(item) for item in value] if isinstance(value, (list, tuple)) else []

    def per_axis(self, name: str, count: int, default: int) -> list[int]:
        """Return a list argument with one number for each of `count` axes."""
        given = self.numbers(name) or [default]
        return given * count if len(given) == 1 else given

    def axes(self, rank: int) -> list[int]:
        """Return the axes that it works along, counted from the front; all if none is named."""
        given = self.numbers("dim") or self.numbers("dims")
        return [dim % max(rank, 1) for dim in given] if given else list(range(rank))

    def is_data(self, x: object) -> bool:
        """Whether an argument depends on the image."""
        return any(x is item for item in self.data)


def words(text: str) -> frozenset[str]:
    """Set of the words of a text."""
    return frozenset(text.split())


POINTWISE = words(
    "abs add addcdiv addcmul alias atan bitwise_and bitwise_not bitwise_or ceil celu clamp clamp_max clamp_min "
    "clone cos detach div elu eq erf exp exp2 expm1 floor fmod ge gelu gt hardshrink hardsigmoid hardswish "
    "hardtanh isnan le leaky_relu lerp lift_fresh log log10 log1p log2 log_sigmoid_forward logical_and "
    "logical_not logical_or lt masked_fill maximum minimum mish mul nan_to_num native_dropout ne neg pow prelu "
    "_prelu_kernel reciprocal relu relu6 remainder round rrelu_with_noise rsqrt rsub sgn sigmoid sign silu sin "
    "softplus softshrink sqrt square sub tan tanh threshold _to_copy trunc where native_channel_shuffle "
    "channel_shuffle"
)
CONSTANT = words(
    "empty_like zeros_like ones_like full_like rand_like randn_like new_zeros new_ones new_empty new_full "
    "new_empty_strided fill zero"
)
BATCH_NORMS = words(
    "native_batch_norm cudnn_batch_norm miopen_batch_norm _native_batch_norm_legit _batch_norm_impl_index "
    "_native_batch_norm_legit_no_training _batch_norm_no_update _batch_norm_with_update"
)
MOVING = words(
    "flip rot90 roll repeat stack slice_scatter select_scatter tril triu view_copy expand_copy permute_copy"
) | {f"{how}_pad{n}d" for how in ("reflection", "replication") for n in (1, 2, 3)}

Rule = Callable[[Operation], Tensor]
RULES: dict[str, Rule] = {}


def rule(names: str) -> Callable[[Rule], Rule]:
    """Return a decorator that enters a rule under some names."""

    def enter(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names.split(), function))
        return function

    return enter


def unknown(op: Operation) -> Tensor:
    """Global; its axes are those of an operand of the same shape."""
    same = next((x for x in op.data if x.shape == op.shape), None)
    return everywhere(core(op.data[0]).amax() if same is None else core(same))


def pointwise(op: Operation) -> Tensor:
    """Everything that an operand sees; which axis is which is told by the one that varies most."""
    found, *others = sorted((core(x) for x in op.data), key=Tensor.numel, reverse=True)
    for x in others:
        found = torch.where(is_global(x), everywhere(found), torch.maximum(found, x))
    return found


@rule(" ".join(CONSTANT))
def _constant(op: Operation) -> Tensor:
    return torch.zeros(op.shape, dtype=torch.float64)  # with memory of its own at each position, to be written into


@rule("_unsafe_view _reshape_copy")
def _reshaped(op: Operation) -> Tensor:
    return reshaped(op.data[0], op.shape)


@rule("copy")
def _copy(op: Operation) -> Tensor:
    source = op.tensor("src")
    return core(source) if op.is_data(source) else torch.zeros((), dtype=torch.float64)


@rule("cat")
def _cat(op: Operation) -> Tensor:
    dim = op.axes(len(op.shape))[0]
    parts = [core(thin(x)) for x in op.data]
    if dim in (1, len(op.shape) - 1) and all(part.shape[dim] == 1 for part in parts):
        return reduce(torch.maximum, parts)
    given = cast(list[Tensor], op.arguments["tensors"])
    return thin(torch.cat([x if op.is_data(x) else torch.zeros(x.shape, dtype=torch.float64) for x in given], dim))


@rule("convolution convolution_overrideable cudnn_convolution mkldnn_convolution")
def _convolution(op: Operation) -> Tensor:
    x, weight = op.tensor("input"), op.tensor("weight")
    if not op.is_data(x) or op.is_data(weight):
        return unknown(op)
    x = contracted(x, [1]).expand(x.shape[0], 1, *x.shape[2:])
    return _windowed(op, x, list(weight.shape[2:]), transposed=bool(op.arguments.get("transposed")))


@rule("max_pool2d_with_indices max_pool3d_with_indices mkldnn_max_pool2d max_pool1d max_pool2d max_pool3d")
@rule("avg_pool1d avg_pool2d avg_pool3d")
def _pool(op: Operation) -> Tensor:
    count = int(next(letter for letter in op.name if letter.isdigit()))
    return _windowed(op, op.data[0], op.per_axis("kernel_size", count, 1), transposed=False)


def _windowed(op: Operation, x: Tensor, kernel: list[int], *, transposed: bool) -> Tensor:
    count = len(kernel)
    strides = op.per_axis("stride", count, 1) if op.numbers("stride") else kernel
    paddings, dilations = op.per_axis("padding", count, 0), op.per_axis("dilation", count, 1)
    for i in range(count):
        at, step, span = i - count, strides[i], (kernel[i] - 1) * dilations[i]
        reads: tuple[float, float, float] = (step, -paddings[i], span - paddings[i])
        if transposed:  # position o reads the positions i with o = i·stride - padding + k·dilation
            reads = (1 / step, (paddings[i] - span) / step, paddings[i] / step)
        x = slid(x, at + x.dim(), op.shape[at], reads)
    return x


@rule("im2col")
def _unfold(op: Operation) -> Tensor:
    windows = [op.per_axis(name, 2, 1) for name in ("kernel_size", "dilation", "padding", "stride")]
    x = op.data[0].amax(1, keepdim=True)
    for i, (kernel, dilation, padding, stride) in enumerate(zip(*windows, strict=True)):
        span = (kernel - 1) * dilation
        count = (x.shape[2 + i] + 2 * padding - span - 1) // stride + 1
        x = slid(x, 2 + i, count, (stride, -padding, span - padding))
    return x.flatten(2).expand(op.shape)


@rule("constant_pad_nd")
def _pad(op: Operation) -> Tensor:
    x, pads = op.data[0], op.numbers("pad")
    for i in range(len(pads) // 2):
        at = len(op.shape) - 1 - i
        if pads[2 * i] or pads[2 * i + 1]:
            x = slid(x, at, op.shape[at], (1, -pads[2 * i], -pads[2 * i]))
    return x


@rule("_adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_max_pool2d adaptive_max_pool3d")
@rule("adaptive_avg_pool1d adaptive_max_pool1d adaptive_avg_pool2d adaptive_avg_pool3d")
def _adaptive_pool(op: Operation) -> Tensor:
    x = op.data[0]
    for at, (before, after) in enumerate(zip(x.shape, op.shape, strict=True)):
        if before != after:
            x = slid(x, at, after, (before / after, 0, before // after - 1))
            x = x if after > 1 and before % after == 0 else everywhere(x)
    return x


@rule("upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d _upsample_nearest_exact2d")
@rule("upsample_linear1d upsample_bilinear2d upsample_bicubic2d")
def _upsample(op: Operation) -> Tensor:
    x = op.data[0]
    scales = {2: op.arguments.get("scales_h", op.arguments.get("scales")), 3: op.arguments.get("scales_w")}
    taps = {"nearest": (0, 0), "linear": (0, 1), "bilinear": (0, 1), "bicubic": (-1, 2)}
    low, high = next(value for word, value in taps.items() if f"_{word}" in op.name)
    for at in range(2, len(op.shape)):
        before, after = x.shape[at], op.shape[at]
        given = scales.get(at)
        step = Fraction(1 / given).limit_denominator(4096) if isinstance(given, float) else Fraction(before, after)
        shift = Fraction(0)
        if op.arguments.get("align_corners"):
            step = Fraction(before - 1, after - 1) if after > 1 else Fraction(0)
        elif "exact" in op.name or (low, high) != (0, 0):
            shift = (step - 1) / 2 if (low, high) != (0, 0) else step / 2
        grain = max(step.denominator, shift.denominator)
        reads = (float(step), float(shift + low - Fraction(grain - 1, grain)), float(shift + high))
        x = slid(x, at, after, reads)
    return x


@rule("pixel_shuffle")
def _pixel_shuffle(op: Operation) -> Tensor:
    x, factor = op.data[0].narrow(-3, 0, 1), op.numbers("upscale_factor")[0]
    for at in (len(op.shape) - 2, len(op.shape) - 1):
        x = slid(x, at, op.shape[at], (1 / factor, (1 - factor) / factor, 0))
    return x


@rule("pixel_unshuffle")
def _pixel_unshuffle(op: Operation) -> Tensor:
    x, factor = op.data[0].narrow(-3, 0, 1), op.numbers("downscale_factor")[0]
    for at in (len(op.shape) - 2, len(op.shape) - 1):
        x = slid(x, at, op.shape[at], (factor, 0, factor - 1))
    return x


@rule(" ".join(BATCH_NORMS))
def _batch_norm(op: Operation) -> Tensor:
    uses_batch = bool(op.arguments.get("training")) or op.name.endswith("with_update")
    return everywhere(op.data[0]) if uses_batch else op.data[0]


@rule("native_layer_norm _fused_rms_norm rms_norm layer_norm")
def _layer_norm(op: Operation) -> Tensor:
    rank = len(op.shape)
    return mixed(op.data[0], range(rank - len(op.numbers("normalized_shape")), rank))


@rule("_softmax _log_softmax cumsum cumprod logcumsumexp")
def _along(op: Operation) -> Tensor:
    return mixed(op.data[0], op.axes(len(op.shape)))


@rule("mean sum amax amin max min var std prod linalg_vector_norm norm logsumexp var_mean std_mean any all")
def _reduce(op: Operation) -> Tensor:
    if len(op.data) > 1:
        return pointwise(op)
    x = op.data[0]
    dims = op.axes(x.dim())
    found = contracted(x, dims).expand([1 if at in dims else size for at, size in enumerate(x.shape)])
    return found if len(op.shape) == x.dim() else found.squeeze(tuple(dims))


@rule("mm bmm addmm baddbmm")
def _product(op: Operation) -> Tensor:
    *added, one, two = (value for value in op.arguments.values() if isinstance(value, Tensor))
    if op.is_data(one) and op.is_data(two):
        found = everywhere(core(one).amax(-1, keepdim=True))
    elif op.is_data(one) or op.is_data(two):
        found = contracted(*((one, [-1]) if op.is_data(one) else (two, [-2])), is_linear=True)
    else:
        return everywhere(core(added[0]))
    return torch.maximum(found, core(added[0])) if added and op.is_data(added[0]) else found
