"""A tensor in a file, whose type and shape are known before its values are read."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

Shape = tuple[int, ...]

STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
    "UntypedStorage": torch.uint8,
}
NUMPY_TYPES = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "b1")
NEWER = (torch.uint16, torch.uint32, torch.uint64, torch.float8_e4m3fn, torch.float8_e5m2)
ELEMENTS = {str(dtype): dtype for dtype in (*STORAGES.values(), *NEWER)}


@dataclass(eq=False)
class Bytes:
    """The bytes of a storage in a file, which are read once, when they are needed."""

    read: Callable[[], bytes]

    @cached_property
    def values(self) -> bytearray:
        """The bytes."""
        return bytearray(self.read())


@dataclass(frozen=True)
class Storage:
    """Bytes with the type of what they hold.

    Args:
        bytes: The bytes.
        dtype: Type of the elements; None for one that is not read.
        start: Where the first element begins, in bytes.
    """

    bytes: Bytes
    dtype: torch.dtype | None
    start: int = 0

    def of_type(self, dtype: torch.dtype | None) -> "Storage":
        """The same bytes as elements of another type."""
        return replace(self, dtype=dtype)


@dataclass(frozen=True)
class SavedTensor:
    """A tensor in a file.

    Args:
        shape: Its shape.
        load: Reads its values.
        identity: Equal for two names of the same bytes.
        form: Why its values are not read, such as `sparse`; empty if they can be.
    """

    shape: Shape
    load: Callable[[], Tensor] = field(compare=False, repr=False)
    identity: object
    form: str = ""


def of_form(form: str, shape: object) -> SavedTensor:
    """A tensor whose values are not read."""

    def load() -> Tensor:
        raise ValueError(form)

    return SavedTensor(_shape(shape), load, object(), form)


def view(storage: Storage, offset: int, shape: object, stride: object) -> SavedTensor:
    """A tensor of some elements of a storage.

    Args:
        storage: The storage.
        offset: Its first element.
        shape: Its shape.
        stride: Elements from one to the next, for each axis.

    Returns:
        The tensor.

    Raises:
        TypeError: The shape is none.
    """
    sides, steps, dtype = _shape(shape), _shape(stride), storage.dtype
    if dtype is None:
        return of_form("of a type that is not read", sides)

    def load() -> Tensor:
        if not all(sides):
            return torch.empty(sides, dtype=dtype)
        whole = torch.frombuffer(storage.bytes.values, dtype=dtype, offset=storage.start)
        return whole.as_strided(sides, steps, offset)

    identity = (id(storage.bytes), storage.start, dtype, offset, sides, steps)
    return SavedTensor(sides, load, identity, "complex" if dtype.is_complex else "")


def array(data: object, kind: str, shape: object, is_fortran: object) -> SavedTensor | None:
    """A tensor of the bytes of a NumPy array.

    Args:
        data: The bytes.
        kind: NumPy's code of the type, such as `<f4`.
        shape: The shape of the array.
        is_fortran: Whether its first axis is the one that varies fastest.

    Returns:
        The tensor; None for an array of texts or objects, or of a type that torch does not have.
    """
    if not isinstance(data, (bytes, bytearray)) or kind[1:] not in (
        "f2",
        "f4",
        "f8",
        "i1",
        "i2",
        "i4",
        "i8",
        "u1",
        "b1",
    ):
        return None
    values = np.frombuffer(data, np.dtype(kind)).reshape(_shape(shape), order="F" if is_fortran else "C")
    tensor = torch.from_numpy(values.astype(values.dtype.newbyteorder("="), order="C"))
    return SavedTensor(tuple(tensor.shape), lambda: tensor, id(tensor))


def _shape(value: object) -> Shape:
    if not isinstance(value, (tuple, list)) or not all(type(side) is int and side >= 0 for side in value):
        raise TypeError("a shape is to be whole numbers")
    return tuple(value)
