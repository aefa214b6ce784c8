"""What each of torch's basic operations does to the fields of its operands: a table from operation name to rule."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from torch import Tensor

from lurk.receptive import (
    AXES,
    Atom,
    Axis,
    Field,
    Window,
    contracted,
    everywhere,
    hull,
    lost,
    picked,
    resized,
    settle,
    spread,
    stretched,
    unlabelled,
    windowed,
)


@dataclass(frozen=True)
class Operation:
    """One operation as it ran.

    Args:
        name: Its name without overload, such as `convolution`.
        arguments: Every argument by name, defaults included.
        fields: Fields of the tensors that depend on the image, by `id` of the tensor.
        outputs: The tensors that it returned.
    """

    name: str
    arguments: Mapping[str, object]
    fields: Mapping[int, Field]
    outputs: Sequence[Tensor]

    def field(self, name: str) -> Field | None:
        """Field of a tensor argument, None where it is constant."""
        return self.fields.get(id(self.arguments.get(name)))

    @property
    def data(self) -> Field:
        """Field of the first operand that depends on the image."""
        return next(iter(self.fields.values()))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the first output."""
        return tuple(self.outputs[0].shape)

    def number(self, name: str) -> int:
        """A whole-number argument."""
        value = self.arguments[name]
        return value if isinstance(value, int) else 0

    def numbers(self, name: str) -> list[int]:
        """An argument that is a list of whole numbers, empty where it was left out."""
        value = self.arguments.get(name)
        if isinstance(value, int):
            return [value]
        return [int(item) for item in value] if isinstance(value, (list, tuple)) else []

    def spread_over(self, name: str, count: int, default: int) -> list[int]:
        """A list argument with one number for each of `count` axes."""
        given = self.numbers(name) or [default]
        return given * count if len(given) == 1 else given

    def axis(self, name: str, rank: int) -> int:
        """An axis argument, counted from the front."""
        return self.number(name) % max(rank, 1)

    def axes(self, name: str, rank: int) -> list[int]:
        """A list-of-axes argument counted from the front; all axes where it was left out."""
        given = self.numbers(name)
        return [dim % rank for dim in given] if given else list(range(rank))


Rule = Callable[[Operation], "Field | list[Field] | None"]
RULES: dict[str, Rule] = {}

POINTWISE = frozenset(
    "abs add addcdiv addcmul alias atan bitwise_and bitwise_not bitwise_or ceil celu clamp clamp_max clamp_min clone cos "
    "detach div elu eq erf exp exp2 expm1 floor fmod ge gelu gt hardshrink hardsigmoid hardswish hardtanh isnan "
    "le leaky_relu lerp lift_fresh log log10 log1p log2 log_sigmoid_forward logical_and logical_not logical_or lt "
    "masked_fill maximum minimum mish mul nan_to_num native_dropout ne neg pow prelu _prelu_kernel reciprocal relu relu6 "
    "remainder round rrelu_with_noise rsqrt rsub sgn sigmoid sign silu sin softplus softshrink sqrt square sub tan tanh "
    "threshold _to_copy trunc where native_channel_shuffle channel_shuffle".split()
)
CONSTANT = frozenset(
    "empty_like zeros_like ones_like full_like rand_like randn_like new_zeros new_ones new_empty new_full "
    "new_empty_strided fill zero".split()
)


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Return a decorator that enters a rule under some names."""

    def enter(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return enter


def apply(op: Operation) -> list[Field | None]:
    """Fields of an operation's outputs.

    Args:
        op: The operation; at least one of its operands depends on the image.

    Returns:
        One for each output, None where the output does not depend on the image.
    """
    if op.name in CONSTANT:
        return [None] * len(op.outputs)
    if op.name not in ("convolution", *POOLS):
        op = replace(op, fields={key: settle(field) for key, field in op.fields.items()})
    chosen = pointwise if op.name in POINTWISE else RULES.get(op.name, unknown)
    found = chosen(op)
    fields: Sequence[Field | None] = found if isinstance(found, list) else [found] * len(op.outputs)
    return [_checked(op, field, output) for field, output in zip(fields, op.outputs, strict=True)]


def _checked(op: Operation, field: Field | None, output: Tensor) -> Field | None:
    if field is None or field.shape == tuple(output.shape):
        return field
    return _unknown(op, tuple(output.shape))


def _unknown(op: Operation, shape: tuple[int, ...]) -> Field:
    for field in op.fields.values():
        if field.shape == shape:
            return everywhere(field)
    known = unlabelled(shape)
    if len(op.data.dims) == len(shape):
        known = tuple(a if s == n else u for a, s, n, u in zip(op.data.dims, op.data.shape, shape, known, strict=True))
    return Field(known, None, None)


def unknown(op: Operation) -> list[Field | None]:
    """Global, the axes labelled as those of an operand of the same shape."""
    return [_unknown(op, tuple(output.shape)) for output in op.outputs]


def _aligned(fields: Sequence[Field], shape: tuple[int, ...]) -> list[Axis]:
    dims: list[Axis] = []
    for back in range(len(shape), 0, -1):
        size = shape[-back]
        here = [f.dims[-back] for f in fields if len(f.dims) >= back and f.shape[-back] == size]
        named = [axis for axis in here if any(atom.kind != "?" for atom in axis)]
        dims.append((named or here or [(Atom("?", size),)])[0])
    return dims


def pointwise(op: Operation) -> Field:
    """Hull of the operands, which are broadcast."""
    fields = list(op.fields.values())
    return hull(fields, _aligned(fields, op.shape))


@rule("copy")
def _copy(op: Operation) -> Field | None:
    source = op.field("src")
    return None if source is None else hull([source], _aligned([source], op.shape))


@rule("as_strided_", "set")
def _restrided(op: Operation) -> Field:
    return op.data if op.data.shape == op.shape else _unknown(op, op.shape)


@rule("convolution", "convolution_overrideable", "cudnn_convolution", "mkldnn_convolution")
def _convolution(op: Operation) -> Field:
    field = op.field("input")
    if field is None or op.field("weight") is not None:
        return _unknown(op, op.shape)
    weight = op.arguments["weight"]
    kernel = tuple(weight.shape[2:]) if isinstance(weight, Tensor) else ()
    count = len(kernel)
    field = contracted(field, 1, flattened=False)
    stride, padding = op.spread_over("stride", count, 1), op.spread_over("padding", count, 0)
    dilation = op.spread_over("dilation", count, 1)
    slide = spread if op.arguments.get("transposed") else windowed
    for i in range(count):
        field = slide(field, 2 + i, Window(kernel[i], stride[i], padding[i], dilation[i]), op.shape[2 + i])
    return replace(field, dims=(field.dims[0], (Atom("c", op.shape[1]),), *field.dims[2:]))


POOLS = ("max_pool2d_with_indices", "max_pool3d_with_indices", "mkldnn_max_pool2d", "max_pool2d", "avg_pool1d")
POOLS += ("avg_pool2d", "avg_pool3d", "max_pool1d", "max_pool3d")


@rule(*POOLS)
def _pool(op: Operation) -> Field:
    field, kernel = op.data, op.numbers("kernel_size")
    count = int(next(letter for letter in op.name if letter.isdigit()))
    kernel = kernel * count if len(kernel) == 1 else kernel
    stride = op.spread_over("stride", count, 0) if op.numbers("stride") else kernel
    padding, dilation = op.spread_over("padding", count, 0), op.spread_over("dilation", count, 1)
    for i in range(count):
        dim = len(op.shape) - count + i
        field = windowed(field, dim, Window(kernel[i], stride[i], padding[i], dilation[i]), op.shape[dim])
    return field


@rule("_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_max_pool2d", "adaptive_max_pool3d")
@rule("adaptive_avg_pool1d", "adaptive_max_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d")
def _adaptive(op: Operation) -> Field:
    field = op.data
    for dim, (before, after) in enumerate(zip(field.shape, op.shape, strict=True)):
        if after == before:
            continue
        if after > 1 and before % after == 0:
            field = windowed(field, dim, Window(before // after, before // after), after)
        else:
            field = resized(lost(field, dim), dim, after)
    return field


@rule("native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm", "_native_batch_norm_legit", "_batch_norm_impl_index")
@rule("_native_batch_norm_legit_no_training", "_batch_norm_no_update", "_batch_norm_with_update")
def _batch_norm(op: Operation) -> list[Field | None]:
    uses_batch = bool(op.arguments.get("training")) or op.name.endswith("with_update")
    field = everywhere(op.data) if uses_batch else op.data
    return [field, *([None] * (len(op.outputs) - 1))]


@rule("native_layer_norm", "_fused_rms_norm", "rms_norm", "layer_norm")
def _layer_norm(op: Operation) -> list[Field | None]:
    field, count = op.data, len(op.numbers("normalized_shape"))
    for dim in range(len(op.shape) - count, len(op.shape)):
        if field.kinds(dim) & set(AXES):
            field = lost(field, dim)
    return [field, *([None] * (len(op.outputs) - 1))]


@rule("native_group_norm", "group_norm")
def _group_norm(op: Operation) -> list[Field | None]:
    return [everywhere(op.data), *([None] * (len(op.outputs) - 1))]


@rule("_softmax", "_log_softmax", "cumsum", "flip", "roll", "cumprod", "logcumsumexp")
def _along(op: Operation) -> Field:
    field = op.data
    for dim in op.axes("dim" if "dim" in op.arguments else "dims", len(op.shape)):
        if field.kinds(dim) & set(AXES):
            field = lost(field, dim)
    return field


@rule("mean", "sum", "amax", "amin", "max", "min", "var", "std", "prod", "linalg_vector_norm", "norm", "logsumexp")
@rule("var_mean", "std_mean", "any", "all")
def _reduce(op: Operation) -> Field:
    if len(op.fields) > 1:
        return pointwise(op)
    field = op.data
    dims = op.axes("dim", len(field.dims))
    for dim in dims:
        field = contracted(field, dim, flattened=False)
    kept = [_single(a) if i in dims else a for i, a in enumerate(field.dims) if op.arguments.get("keepdim") or i not in dims]
    return replace(field, dims=tuple(kept))


def _single(axis: Axis) -> Axis:
    return (Atom(axis[0].kind, 1, axis[0].jump),) if len(axis) == 1 else (Atom("?", 1),)


@rule("upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d", "_upsample_nearest_exact2d")
@rule("_upsample_nearest_exact1d", "upsample_linear1d", "upsample_bilinear2d", "upsample_bicubic2d")
def _upsample(op: Operation) -> Field:
    field = op.data
    scales = {2: op.arguments.get("scales_h", op.arguments.get("scales")), 3: op.arguments.get("scales_w")}
    taps = {"nearest": (0, 0), "linear": (0, 1), "bilinear": (0, 1), "bicubic": (-1, 2)}
    low, high = next(value for word, value in taps.items() if f"_{word}" in op.name)
    for dim in range(2, len(op.shape)):
        before, after = field.shape[dim], op.shape[dim]
        given = scales.get(dim)
        step = Fraction(1 / given).limit_denominator(4096) if isinstance(given, float) else Fraction(before, after)
        shift = Fraction(0)
        if op.arguments.get("align_corners"):
            step = Fraction(before - 1, after - 1) if after > 1 else Fraction(0)
        elif "exact" in op.name or (low, high) != (0, 0):
            shift = (step - 1) / 2 if (low, high) != (0, 0) else step / 2
        grain = max(step.denominator, shift.denominator)
        reads = (step, shift + low - Fraction(grain - 1, grain), shift + high)
        field = stretched(field, dim, reads, after)
    return field


@rule("pixel_shuffle")
def _pixel_shuffle(op: Operation) -> Field:
    field, factor = op.data, op.number("upscale_factor")
    for dim in (-2, -1):
        at = len(op.shape) + dim
        field = stretched(field, at, (Fraction(1, factor), Fraction(1 - factor, factor), Fraction(0)), op.shape[at])
    return resized(field, len(op.shape) - 3, op.shape[-3])


@rule("pixel_unshuffle")
def _pixel_unshuffle(op: Operation) -> Field:
    field, factor = op.data, op.number("downscale_factor")
    for dim in (len(op.shape) - 2, len(op.shape) - 1):
        field = windowed(field, dim, Window(factor, factor), op.shape[dim])
    return resized(field, len(op.shape) - 3, op.shape[-3])


@rule("constant_pad_nd")
def _pad(op: Operation) -> Field:
    field, pads = op.data, op.numbers("pad")
    for i in range(len(pads) // 2):
        dim = len(op.shape) - 1 - i
        if pads[2 * i] or pads[2 * i + 1]:
            field = picked(field, dim, -pads[2 * i], 1, op.shape[dim])
    return field


@rule(*(f"{how}_pad{n}d" for how in ("reflection", "replication") for n in (1, 2, 3)))
def _mirror(op: Operation) -> Field:
    field, pads = op.data, op.numbers("padding")
    for i in range(len(pads) // 2):
        dim, before, after = len(op.shape) - 1 - i, pads[2 * i], pads[2 * i + 1]
        field = picked(field, dim, -before, 1, op.shape[dim])
        slack = max(before, after) * (2 if op.name.startswith("reflection") else 1)
        for kind in AXES:
            reach = field.reach(kind)
            if reach is not None and kind in field.kinds(dim):
                field = field.reaching(kind, replace(reach, slack=slack))
    return field
