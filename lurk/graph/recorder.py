"""Running a network on coordinates: what each basic operation does to them, and which operations made a tensor."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import cast

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from lurk.graph.receptive.coordinates import core, has_coordinates, reshaped, thin
from lurk.graph.receptive.rules import (
    BATCH_NORMS,
    CONSTANT,
    MOVING,
    POINTWISE,
    RULES,
    Operation,
    Rule,
    pointwise,
    unknown,
)

Given = tuple[Sequence[object], Mapping[str, object]]
PLUMBING = CONSTANT | {
    "alias",
    "detach",
    "clone",
    "lift_fresh",
    "_to_copy",
    "empty",
    "view",
    "_unsafe_view",
    "expand",
    "as_strided",
}


def tensors_in(value: object) -> list[Tensor]:
    """Every tensor in nested tuples, lists, mappings and dataclasses, in order."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    elif dataclasses.is_dataclass(value):
        value = list(vars(value).values())
    return [tensor for item in value for tensor in tensors_in(item)] if isinstance(value, (tuple, list)) else []


class CoordinateTensor(Tensor):
    """Has the shape and type of the tensor in whose place it is, and holds coordinates instead of values.

    Args:
        coordinates: float64 of the same shape.
        dtype: Type of the tensor.
        device: Where the tensor would be; coordinates are on the CPU.
    """

    coordinates: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]  # as torch documents it

    @staticmethod
    def __new__(cls, coordinates: Tensor, dtype: torch.dtype, device: torch.device) -> "CoordinateTensor":
        """Make a tensor without values."""
        made: CoordinateTensor = Tensor._make_wrapper_subclass(cls, coordinates.shape, dtype=dtype, device=device)
        made.coordinates = coordinates
        return made

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # as torch calls it
        cls, func: object, types: object, args: object = (), kwargs: object = None
    ) -> object:
        """Refuse whatever does not run under a `Recorder`."""
        raise NotImplementedError(f"{func} on coordinates")


def coordinates_of(x: object) -> Tensor | None:
    """Return what a value depends on; None if it does not depend on the image."""
    return x.coordinates if isinstance(x, CoordinateTensor) and has_coordinates(x.coordinates) else None


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own class is untyped
    """Runs every operation on coordinates and notes which operations ran.

    >>> image = CoordinateTensor(image_coordinates((3, 224, 224)), torch.float32, torch.device("cpu"))
    >>> with Recorder() as recorder:
    ...     output = module(image)
    >>> coordinates_of(output)
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's own class is untyped
        self.operations: list[str] = []
        self._outputs: dict[object, object] = {}

    def __torch_dispatch__(
        self, func: torch._ops.OpOverload, types: object, args: Sequence[object] = (), kwargs: object = None
    ) -> object:
        """Run an operation on coordinates."""
        named = dict(kwargs) if isinstance(kwargs, Mapping) else {}
        defaults, written = _slots(func)
        arguments = defaults | dict(zip(defaults, args, strict=False)) | named
        operands = tensors_in(list(arguments.values()))
        data = [x for x in operands if isinstance(x, CoordinateTensor)]
        if not data:
            return func(*args, **named)
        name = func._schema.name.rpartition("::")[2]
        target = arguments[written] if written else None
        name = name[:-1] if target is not None and name.endswith("_") else name
        if name == "index" and any(x.dtype == torch.bool for x in operands[1:]):
            name = "masked_select"
        known = [x for x in data if coordinates_of(x) is not None]
        if known and name not in PLUMBING:
            self.operations.append(name)
        if target is None and (name in MOVING or (func.is_view and name != "as_strided")):
            return _moved(func, (args, named), data[0])
        is_pointwise = name in POINTWISE or torch.Tag.pointwise in func.tags
        rule = RULES.get(name, pointwise if is_pointwise else unknown)
        inner = _swapped(lambda x: x.coordinates if isinstance(x, CoordinateTensor) else x, arguments)
        op = Operation(
            name, cast(dict[str, object], inner), [x.coordinates for x in known or data], tuple(data[0].shape)
        )
        if target is None:
            shape = _broadcast(operands) if is_pointwise else None
            shape = data[0].shape if name in BATCH_NORMS else shape
            return _computed(rule, op, self._shapes(func, (args, named), shape), data[0].device)
        if not isinstance(target, CoordinateTensor) or torch.Tag.inplace_view in func.tags:
            raise TypeError(f"{name} changes a constant, or the shape of a tensor, in place")
        _write(target.coordinates, rule(replace(op, shape=tuple(target.shape))))
        return target

    def _shapes(
        self,
        func: torch._ops.OpOverload,
        given: Given,
        shape: Sequence[int] | None,
    ) -> object:
        """Outputs of an operation without values, kept for the next that is like it."""
        form = (func, _form(given[0]), _form(list(given[1].items())))
        if form not in self._outputs:
            self._outputs[form] = _blank_outputs(func, given, shape)
        return self._outputs[form]


def _moved(func: torch._ops.OpOverload, given: Given, like: CoordinateTensor) -> object:
    """Run an operation that computes nothing on the coordinates themselves."""
    args, named = cast(
        Given, _swapped(lambda x: x.coordinates if isinstance(x, CoordinateTensor) else torch.zeros(x.shape), given)
    )
    try:
        result = func(*args, **named)
    except RuntimeError:  # no view can be had of what is stored once along an axis
        result = thin(reshaped(cast(Tensor, args[0]), cast(Sequence[int], args[1])))
    return _swapped(lambda x: CoordinateTensor(x if func.is_view else thin(x), like.dtype, like.device), result)


def _computed(rule: Rule, op: Operation, outputs: object, device: torch.device) -> object:
    """Put coordinates into the outputs of an operation."""
    made = tensors_in(outputs)
    if not made:
        return outputs
    op = replace(op, shape=tuple(made[0].shape))
    first = rule(op)

    def filled(output: Tensor) -> CoordinateTensor:
        found = first if output.shape == op.shape else unknown(replace(op, shape=tuple(output.shape)))
        return CoordinateTensor(core(found).clone().expand(output.shape), output.dtype, device)

    return _swapped(filled, outputs)


def _swapped(change: Callable[[Tensor], Tensor], value: object) -> object:
    """Change every tensor in nested tuples, lists and dicts."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, dict):
        return {key: _swapped(change, item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        found = [_swapped(change, item) for item in value]
        return tuple(found) if isinstance(value, tuple) else found
    return value


def _broadcast(operands: Sequence[Tensor]) -> tuple[int, ...]:
    """The shape that operands of these shapes give together."""
    rank = max(x.dim() for x in operands)
    sizes = [(1,) * (rank - x.dim()) + tuple(x.shape) for x in operands]
    return tuple(next((size for size in column if size != 1), 1) for column in zip(*sizes, strict=True))


@cache
def _slots(func: torch._ops.OpOverload) -> tuple[dict[str, object], str | None]:
    """The arguments of an operation by name with their defaults, and the name of the one that it changes in place."""
    slots = func._schema.arguments
    written = (slot.name for slot in slots if slot.alias_info and slot.alias_info.is_write)
    return {slot.name: slot.default_value for slot in slots}, next(written, None)


def _blank_outputs(func: torch._ops.OpOverload, given: Given, shape: Sequence[int] | None) -> object:
    """Run an operation without values.

    Args:
        func: The operation.
        given: Its arguments.
        shape: Shape of its output if that follows from those of its operands, so that one value of each tells the rest.

    Returns:
        What it returns, of the right shapes and types.
    """
    attempts = [_blank_on_meta, _blank_on_cpu] if shape is None else [_one_value, _blank_on_meta, _blank_on_cpu]
    for blank in attempts:
        args, named = cast(Given, _swapped(blank, given))
        try:
            outputs = func(*args, **named)
        except (NotImplementedError, RuntimeError):
            if blank is _blank_on_cpu:
                raise
            continue
        if blank is not _one_value:
            return outputs
        return _swapped(lambda x: x.expand(shape or ()) if x.dim() == len(shape or ()) else x, outputs)
    return None


def _one_value(x: Tensor) -> Tensor:
    return torch.ones((1,) * x.dim(), dtype=x.dtype)


def _blank_on_meta(x: Tensor) -> Tensor:
    return torch.empty(x.shape, dtype=x.dtype, device="meta")


def _blank_on_cpu(x: Tensor) -> Tensor:
    return torch.ones(x.shape, dtype=x.dtype)


def _form(value: object) -> object:
    """What the shapes of an operation's outputs depend on."""
    if isinstance(value, Tensor):
        return (tuple(value.shape), value.dtype)
    if isinstance(value, (tuple, list)):
        return tuple(_form(item) for item in value)
    return (type(value), value)


def _write(target: Tensor, found: Tensor) -> None:
    """Change coordinates in place; where they are stored once along an axis, for all that lies along it."""
    target = core(target)
    found = found[(None,) * (target.dim() - found.dim())]
    over = [dim for dim in range(target.dim()) if target.shape[dim] == 1 < found.shape[dim]]
    target.copy_(found.amax(over, keepdim=True) if over else found)
