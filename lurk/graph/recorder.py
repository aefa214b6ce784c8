"""Following fields through a forward pass: every basic operation that runs is looked up in the table of rules."""

import dataclasses
import weakref
from collections import Counter
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from lurk.graph import receptive_resize, receptive_views  # noqa: F401 - both enter their rules into the table
from lurk.graph.axes import unlabelled
from lurk.graph.receptive_field import Field, everywhere
from lurk.graph.receptive_rules import CONSTANT, Operation, apply

PLUMBING = CONSTANT | {
    "alias",
    "detach",
    "clone",
    "lift_fresh",
    "as_strided_",
    "_to_copy",
    "empty",
    *receptive_views.VIEWS,
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


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own class is untyped
    """Knows the field of every tensor made while it is active, and which operations made it.

    >>> recorder = Recorder()
    >>> with recorder:
    ...     output = module(image)
    >>> recorder.field(output)
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's own class is untyped
        self.done: list[tuple[str, float | None]] = []
        self._fields: dict[int, tuple[weakref.ref[Tensor], Field, int]] = {}
        self._written: Counter[int] = Counter()

    def follow(self, tensor: Tensor, field: Field | None) -> None:
        """Say what a tensor's field is; None makes it constant."""
        if field is None:
            self._fields.pop(id(tensor), None)
        else:
            self._fields[id(tensor)] = (weakref.ref(tensor), field, self._written[_storage(tensor)])

    def field(self, tensor: Tensor) -> Field | None:
        """Field of a tensor, None where it does not depend on the image."""
        version = self._written[_storage(tensor)]
        known = self._fields.get(id(tensor))
        if known is None or known[0]() is not tensor:
            return Field(unlabelled(tensor.shape), None, None) if version else None
        return known[1] if known[2] == version else everywhere(known[1])

    def __torch_dispatch__(
        self, func: torch._ops.OpOverload, types: object, args: Sequence[object] = (), kwargs: object = None
    ) -> object:
        """Run an operation and follow the fields through it."""
        named = dict(kwargs) if isinstance(kwargs, Mapping) else {}
        result = func(*args, **named)
        arguments = {slot.name: slot.default_value for slot in func._schema.arguments}
        arguments |= dict(zip([slot.name for slot in func._schema.arguments], args, strict=False)) | named
        operands = tensors_in(list(arguments.values()))
        fields = {id(t): field for t in operands if (field := self.field(t)) is not None}
        name = func._schema.name.rpartition("::")[2]
        changed = [
            arguments[slot.name] for slot in func._schema.arguments if slot.alias_info and slot.alias_info.is_write
        ]
        name = name[:-1] if changed and name.endswith("_") and not name.endswith("strided_") else name
        if name == "index" and any(tensor.dtype == torch.bool for tensor in operands[1:]):
            name = "masked_select"
        outputs = tensors_in(result)
        self._forget_reused(operands, outputs)
        if fields:
            if name not in PLUMBING:
                self.done.append((name, _bound(name, arguments)))
            found = apply(Operation(name, arguments, fields, outputs)) if outputs else []
            for output, field in zip(outputs, found, strict=True):
                self._keep(output, field, any(output is tensor for tensor in changed))
        return result

    def _keep(self, output: Tensor, field: Field | None, in_place: bool) -> None:
        if in_place and field != self.field(output):
            self._written[_storage(output)] += 1
        self.follow(output, field)

    def _forget_reused(self, operands: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        old = {_storage(tensor) for tensor in operands}
        for output in outputs:
            if _storage(output) not in old:
                self._written.pop(_storage(output), None)


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _bound(name: str, arguments: Mapping[str, object]) -> float | None:
    fixed = {"sigmoid": 1.0, "tanh": 1.0, "hardsigmoid": 1.0}
    slots = {"hardtanh": "max_val", "clamp": "max", "clamp_max": "max"}
    value = arguments.get(slots.get(name, "")) if name in slots else fixed.get(name)
    return float(value) if isinstance(value, (int, float)) else None
