"""What the axes of a tensor mean: each is a product of atoms, which views cut, move and merge."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

Kind = Literal["n", "c", "row", "col", "?"]
AXES: tuple[Kind, Kind] = ("row", "col")
ZERO = Fraction(0)


@dataclass(frozen=True)
class Atom:
    """One factor of a tensor axis: `n` images, `c` channels, `row`, `col`, or `?`; an axis may merge several.

    Args:
        kind: What its index counts.
        size: Number of its values.
        jump: Pixels by which the interval moves from one value to the next; rows and columns only.
    """

    kind: Kind
    size: int
    jump: Fraction = ZERO


Axis = tuple[Atom, ...]


def merged(axis: Axis) -> Axis:
    """Join neighbouring atoms that count on as one."""
    out: list[Atom] = []
    for atom in axis:
        if out and out[-1].kind == atom.kind and (atom.kind not in AXES or _continues(out[-1], atom)):
            out[-1] = Atom(atom.kind, out[-1].size * atom.size, atom.jump if atom.size > 1 else out[-1].jump)
        else:
            out.append(atom)
    return tuple(out)


def _continues(outer: Atom, inner: Atom) -> bool:
    return outer.size == 1 or inner.size == 1 or outer.jump == inner.jump * inner.size


def unlabelled(shape: Sequence[int]) -> tuple[Axis, ...]:
    """Axes of which nothing is known."""
    return tuple((Atom("?", size),) for size in shape)


def regrouped(dims: Sequence[Axis], shape: Sequence[int]) -> tuple[Axis, ...] | None:
    """Read the same values in another shape, row-major.

    Args:
        dims: The axes before.
        shape: The sizes afterwards.

    Returns:
        The axes afterwards; None where a factor would have to be cut unevenly.
    """
    queue = [atom for axis in dims for atom in axis][::-1]
    out: list[list[Atom]] = []
    for size in shape:
        taken = _take(queue, size)
        if taken is None:
            return None
        out.append(taken)
    if out and queue:
        out[-1].extend(reversed(queue))
    return tuple(merged(tuple(axis)) for axis in out)


def _take(queue: list[Atom], size: int) -> list[Atom] | None:
    if size == 1:
        return [queue.pop()] if queue and queue[-1].size == 1 else [Atom("?", 1)]
    taken: list[Atom] = []
    have = 1
    while have < size:
        if not queue or size % have:
            return None
        atom, need = queue.pop(), size // have
        if atom.size > need:
            if atom.size % need:
                return None
            inner = atom.size // need
            queue.append(replace(atom, size=inner))
            atom = Atom(atom.kind, need, atom.jump * inner)
        taken.append(atom)
        have *= atom.size
    return taken if have == size else None
