"""What each of torch's basic operations does to the fields of its operands: a table from operation name to rule."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from lurk.graph.axes import AXES, Atom, Axis, unlabelled
from lurk.graph.receptive_field import Field, Window, contracted, everywhere, hull, lost, settle, spread, windowed


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


def words(text: str) -> frozenset[str]:
    """Set of the words of a text."""
    return frozenset(text.split())


Rule = Callable[[Operation], "Field | list[Field | None] | None"]
RULES: dict[str, Rule] = {}

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
    return blurred(op, tuple(output.shape))


def blurred(op: Operation, shape: tuple[int, ...]) -> Field:
    """Global field of an output; its axes are taken from an operand of the same shape where there is one."""
    for field in op.fields.values():
        if field.shape == shape:
            return everywhere(field)
    known = unlabelled(shape)
    if len(op.data.dims) == len(shape):
        known = tuple(a if s == n else u for a, s, n, u in zip(op.data.dims, op.data.shape, shape, known, strict=True))
    return Field(known, None, None)


def unknown(op: Operation) -> list[Field | None]:
    """Global, the axes labelled as those of an operand of the same shape."""
    return [blurred(op, tuple(output.shape)) for output in op.outputs]


def aligned(fields: Sequence[Field], shape: tuple[int, ...]) -> list[Axis]:
    """Axes of a broadcast result, each from the first operand that knows what it means."""
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
    return hull(fields, aligned(fields, op.shape))


@rule("copy")
def _copy(op: Operation) -> Field | None:
    source = op.field("src")
    return None if source is None else hull([source], aligned([source], op.shape))


@rule("as_strided_", "set")
def _restrided(op: Operation) -> Field:
    return op.data if op.data.shape == op.shape else blurred(op, op.shape)


@rule("convolution", "convolution_overrideable", "cudnn_convolution", "mkldnn_convolution")
def _convolution(op: Operation) -> Field:
    field = op.field("input")
    if field is None or op.field("weight") is not None:
        return blurred(op, op.shape)
    weight = op.arguments["weight"]
    kernel = tuple(weight.shape[2:]) if isinstance(weight, Tensor) else ()
    count = len(kernel)
    field = contracted(field, 1, flattened=False)
    stride, padding = op.spread_over("stride", count, 1), op.spread_over("padding", count, 0)
    dilation = op.spread_over("dilation", count, 1)
    field = settle(field) if op.arguments.get("transposed") else field
    slide = spread if op.arguments.get("transposed") else windowed
    for i in range(count):
        field = slide(field, 2 + i, Window(kernel[i], stride[i], padding[i], dilation[i]), op.shape[2 + i])
    return replace(field, dims=(field.dims[0], (Atom("c", op.shape[1]),), *field.dims[2:]))


POOLS: tuple[str, ...] = (
    "max_pool2d_with_indices",
    "max_pool3d_with_indices",
    "mkldnn_max_pool2d",
    "max_pool2d",
    "avg_pool1d",
)
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


@rule(
    "native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm", "_native_batch_norm_legit", "_batch_norm_impl_index"
)
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
    kept = [
        _single(a) if i in dims else a for i, a in enumerate(field.dims) if op.arguments.get("keepdim") or i not in dims
    ]
    return replace(field, dims=tuple(kept))


def _single(axis: Axis) -> Axis:
    return (Atom(axis[0].kind, 1, axis[0].jump),) if len(axis) == 1 else (Atom("?", 1),)
