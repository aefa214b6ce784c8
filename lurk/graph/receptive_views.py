"""Rules of the operations that move, cut, join or contract axes, entered into the table of `receptive_rules`."""

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from lurk.graph.axes import AXES, Atom, Axis, regrouped, unlabelled
from lurk.graph.receptive_field import Field, contracted, everywhere, hull, lone, lost, picked
from lurk.graph.receptive_rules import Operation, aligned, rule, unknown

Fields = list[Field | None]
VIEWS = frozenset({"view", "_unsafe_view", "expand", "as_strided"})


@rule("view", "_unsafe_view", "reshape", "_reshape_alias", "_reshape_copy", "view_copy", "flatten", "unflatten")
def _view(op: Operation) -> Field | Fields:
    dims = regrouped(op.data.dims, op.shape)
    return unknown(op) if dims is None else replace(op.data, dims=dims)


@rule("permute", "permute_copy")
def _permute(op: Operation) -> Field:
    return replace(op.data, dims=tuple(op.data.dims[dim] for dim in op.axes("dims", len(op.shape))))


@rule("transpose", "transpose_copy", "transpose_")
def _transpose(op: Operation) -> Field:
    dims, rank = list(op.data.dims), len(op.shape)
    one, two = op.axis("dim0", rank), op.axis("dim1", rank)
    dims[one], dims[two] = dims[two], dims[one]
    return replace(op.data, dims=tuple(dims))


@rule("t", "t_", "t_copy", "numpy_T")
def _t(op: Operation) -> Field:
    return replace(op.data, dims=op.data.dims[::-1])


@rule("unsqueeze", "unsqueeze_", "unsqueeze_copy")
def _unsqueeze(op: Operation) -> Field:
    dims = list(op.data.dims)
    dims.insert(op.axis("dim", len(op.shape)), (Atom("?", 1),))
    return replace(op.data, dims=tuple(dims))


@rule("squeeze", "squeeze_", "squeeze_copy")
def _squeeze(op: Operation) -> Field:
    field = op.data
    rank = len(field.dims)
    chosen = op.axes("dim", rank) if "dim" in op.arguments else list(range(rank))
    return replace(field, dims=tuple(a for i, a in enumerate(field.dims) if i not in chosen or field.shape[i] != 1))


@rule("expand", "expand_copy")
def _expand(op: Operation) -> Field:
    return replace(op.data, dims=tuple(aligned([op.data], op.shape)))


@rule("repeat")
def _repeat(op: Operation) -> Field:
    field = op.data
    for dim in range(-len(field.dims), 0):
        if field.shape[dim] not in (1, op.shape[dim]):
            field = lost(field, dim + len(field.dims))
    return replace(field, dims=tuple(aligned([field], op.shape)))


@rule("slice", "slice_copy")
def _slice(op: Operation) -> Field:
    dim = op.axis("dim", len(op.shape))
    size, start = op.data.shape[dim], op.arguments.get("start")
    first = start if isinstance(start, int) else 0
    first = min(max(first + size if first < 0 else first, 0), size)
    step = op.number("step") or 1
    if first == 0 and step == 1 and op.shape[dim] == size:
        return op.data
    return _cut(op.data, dim, first, step, op.shape[dim])


def _cut(field: Field, dim: int, first: int, step: int, size: int) -> Field:
    if lone(field, dim) is None and not field.kinds(dim) & set(AXES):
        kinds = field.kinds(dim)
        atom = Atom(kinds.pop() if len(kinds) == 1 else "?", size)
        return replace(field, dims=(*field.dims[:dim], (atom,), *field.dims[dim + 1 :]))
    return picked(field, dim, first, step, size)


@rule("select", "select_copy")
def _select(op: Operation) -> Field:
    rank = len(op.data.dims)
    dim = op.axis("dim", rank)
    field = _cut(op.data, dim, op.number("index") % max(op.data.shape[dim], 1), 1, 1)
    return replace(field, dims=field.dims[:dim] + field.dims[dim + 1 :])


@rule("split", "split_with_sizes", "chunk", "unsafe_split", "unsafe_chunk", "unsafe_split_with_sizes", "split_copy")
def _split(op: Operation) -> Fields:
    dim, first = op.axis("dim", len(op.shape)), 0
    out: Fields = []
    for output in op.outputs:
        out.append(_cut(op.data, dim, first, 1, output.shape[dim]))
        first += output.shape[dim]
    return out


@rule("unbind", "unbind_copy")
def _unbind(op: Operation) -> Fields:
    dim = op.axis("dim", len(op.data.dims))
    cuts = [_cut(op.data, dim, i, 1, 1) for i in range(len(op.outputs))]
    return [replace(cut, dims=cut.dims[:dim] + cut.dims[dim + 1 :]) for cut in cuts]


@rule("cat", "concat", "_cat")
def _cat(op: Operation) -> Field:
    dim, fields = op.axis("dim", len(op.shape)), list(op.fields.values())
    kinds = {kind for field in fields for kind in field.kinds(dim)}
    if kinds & set(AXES):
        fields = [lost(field, dim) for field in fields]
    atom = Atom("c" if kinds <= {"c"} else "?", op.shape[dim])
    bare = [replace(field, dims=(*field.dims[:dim], (atom,), *field.dims[dim + 1 :])) for field in fields]
    return hull(bare, aligned(bare, op.shape))


@rule("stack")
def _stack(op: Operation) -> Field:
    dim = op.axis("dim", len(op.shape))
    fields = list(op.fields.values())
    dims = list(aligned(fields, op.shape[:dim] + op.shape[dim + 1 :]))
    dims.insert(dim, (Atom("?", op.shape[dim]),))
    return hull(fields, dims) if fields else op.data


@rule("unfold")
def _unfold(op: Operation) -> Field | Fields:
    dim, size, step = op.axis("dimension", len(op.data.dims)), op.number("size"), op.number("step")
    atom = lone(op.data, dim)
    if atom is None:
        return unknown(op)
    outer, inner = Atom(atom.kind, op.shape[dim], atom.jump * step), Atom(atom.kind, size, atom.jump)
    return replace(op.data, dims=(*op.data.dims[:dim], (outer,), *op.data.dims[dim + 1 :], (inner,)))


@rule("index", "index_select", "gather", "embedding")
def _index(op: Operation) -> Fields:
    return unknown(op)


def _product(op: Operation, left: str, right: str) -> Field:
    one, two = op.field(left), op.field(right)
    if one is not None and two is not None:
        batch = one.dims[:-2]
        return everywhere(Field((*batch, one.dims[-2], two.dims[-1]), None, None))
    rank = len(op.shape)
    if one is not None:
        field = contracted(one, rank - 1, flattened=True)
        return field.with_dims([*field.dims[:-1], (Atom("c", op.shape[-1]),)])
    if two is None:
        return Field(unlabelled(op.shape), None, None)
    field = contracted(two, rank - 2, flattened=True)
    new: Sequence[Axis] = [*field.dims[:-2], (Atom("c", op.shape[-2]),), field.dims[-1]]
    return field.with_dims(new)


@rule("mm", "bmm")
def _matmul(op: Operation) -> Field:
    return _product(op, "self", "mat2")


@rule("addmm", "baddbmm", "_addmm_activation", "addbmm")
def _addmm(op: Operation) -> Field | Fields:
    if op.name == "addbmm":
        return unknown(op)
    names = ("batch1", "batch2") if op.name == "baddbmm" else ("mat1", "mat2")
    product = _product(op, *names) if any(op.field(name) is not None for name in names) else None
    added = op.field("self")
    if product is None or added is None:
        return product or everywhere(Field(unlabelled(op.shape), None, None))
    return hull([product, added], product.dims)


@rule("linear", "_mkldnn_linear", "mkldnn_linear")
def _linear(op: Operation) -> Field | Fields:
    field, weight = op.field("input" if "input" in op.arguments else "self"), op.arguments.get("weight")
    if field is None or not isinstance(weight, Tensor) or op.field("weight") is not None:
        return unknown(op)
    field = contracted(field, len(field.dims) - 1, flattened=True)
    return field.with_dims([*field.dims[:-1], (Atom("c", op.shape[-1]),)])
