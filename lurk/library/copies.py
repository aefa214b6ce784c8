"""Copies of records that know where they come from: same fields, and equal to the record."""

import math
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")


def copied(kind: type[T], record: Any, **beside: object) -> T:
    """Copy a record into a subclass of its class, with attributes that are no fields.

    Args:
        kind: The subclass.
        record: The record.
        **beside: The attributes; `dataclasses.asdict` and `replace` leave them out.

    Returns:
        The copy.
    """
    copy = kind(**{field.name: getattr(record, field.name) for field in fields(record)})
    for name, value in beside.items():
        object.__setattr__(copy, name, value)
    return copy


def same_fields(one: Any, other: object, base: type) -> bool:
    """Whether two records of a class, or of subclasses of it, have equal fields; NaN equals NaN in arrays."""
    if not isinstance(other, base):
        return False
    return all(_same(getattr(one, field.name), getattr(other, field.name)) for field in fields(base))


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    if isinstance(one, float):
        return one == other or (math.isnan(one) and isinstance(other, float) and math.isnan(other))
    return bool(one == other)
