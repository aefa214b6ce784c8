"""Which input pixels a position can see: exact interval algebra, with the meaning of every tensor axis kept.

A `Field` says of a tensor, for rows and for columns, which interval of input pixels each of its positions depends on.
Along an axis the interval moves by a constant jump, so start, extent and jump determine all; fractions keep it exact
through upsampling. What cannot be said that way is global: that is always sound, as the whole image holds every box.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import prod

from lurk.graph.axes import AXES, ZERO, Atom, Axis, Kind, merged


@dataclass(frozen=True)
class Reach:
    """Interval of input pixels of position 0, half-open: `start` to `start + extent`.

    Args:
        start: First pixel, below 0 in the padding.
        extent: Length in pixels.
        slack: Positions to either side that mirrored or repeated padding may read beyond the interval.
    """

    start: Fraction
    extent: Fraction
    slack: int = 0


@dataclass(frozen=True)
class Field:
    """What each position of a tensor depends on.

    Args:
        dims: For each axis of the tensor its atoms, outermost first.
        rows: Interval along the input's rows, None where global.
        cols: Interval along the input's columns, None where global.
    """

    dims: tuple[Axis, ...]
    rows: Reach | None
    cols: Reach | None

    @property
    def shape(self) -> tuple[int, ...]:
        """Size of each axis."""
        return tuple(prod(atom.size for atom in axis) for axis in self.dims)

    def reach(self, kind: Kind) -> Reach | None:
        """Interval along `row` or `col`."""
        return self.rows if kind == "row" else self.cols

    def reaching(self, kind: Kind, reach: Reach | None) -> "Field":
        """Copy with another interval along `row` or `col`."""
        return replace(self, rows=reach) if kind == "row" else replace(self, cols=reach)

    def with_dims(self, dims: Iterable[Axis]) -> "Field":
        """Copy with other axes."""
        return replace(self, dims=tuple(merged(axis) for axis in dims))

    def kinds(self, dim: int) -> set[Kind]:
        """Kinds of an axis's atoms, those of size 1 apart."""
        return {atom.kind for atom in self.dims[dim] if atom.size > 1}


def image_field(shape: Sequence[int]) -> Field:
    """Field of the input itself, (n, c, h, w): every pixel sees itself."""
    n, c, h, w = shape
    one = Fraction(1)
    dims: tuple[Axis, ...] = ((Atom("n", n),), (Atom("c", c),), (Atom("row", h, one),), (Atom("col", w, one),))
    return Field(dims, Reach(ZERO, one), Reach(ZERO, one))


def everywhere(field: Field) -> Field:
    """Same axes, but every position depends on the whole image."""
    return replace(field, rows=None, cols=None)


def settle(field: Field) -> Field:
    """Widen the intervals by their slack, so that they hold whatever comes next."""
    for kind in AXES:
        reach = field.reach(kind)
        if reach is None or reach.slack == 0:
            continue
        jump = max((a.jump for axis in field.dims for a in axis if a.kind == kind), default=ZERO)
        wide = Reach(reach.start - reach.slack * jump, reach.extent + 2 * reach.slack * jump)
        field = field.reaching(kind, wide)
    return field


def lone(field: Field, dim: int) -> Atom | None:
    """The one row or column atom that an axis consists of, None where it is anything else."""
    atoms = [atom for atom in field.dims[dim] if atom.size > 1]
    if not atoms:
        atoms = [atom for atom in field.dims[dim] if atom.kind in AXES]
    return atoms[0] if len(atoms) == 1 and atoms[0].kind in AXES else None


def resized(field: Field, dim: int, size: int, jump: Fraction | None = None) -> Field:
    """Copy whose axis has another size and, where told, another jump."""
    atom = lone(field, dim)
    if atom is None:
        kinds = field.kinds(dim)
        kind: Kind = "c" if kinds == {"c"} else "n" if kinds == {"n"} else "?"
        new = Atom(kind, size)
    else:
        new = Atom(atom.kind, size, atom.jump if jump is None else jump)
    return replace(field, dims=(*field.dims[:dim], (new,), *field.dims[dim + 1 :]))


def lost(field: Field, dim: int) -> Field:
    """Make global whatever runs along an axis."""
    for kind in AXES:
        if any(atom.kind == kind for atom in field.dims[dim]):
            field = field.reaching(kind, None)
    return field


@dataclass(frozen=True)
class Window:
    """A sliding window along one axis, in positions of its input: a convolution's or a pooling's."""

    kernel: int
    stride: int = 1
    before: int = 0
    dilation: int = 1

    @property
    def span(self) -> int:
        """Positions from the window's first tap to its last."""
        return (self.kernel - 1) * self.dilation


def windowed(field: Field, dim: int, window: Window, size: int) -> Field:
    """Slide a window along an axis.

    Args:
        field: Field of the input.
        dim: The axis.
        window: What slides.
        size: Size of the axis afterwards.

    Returns:
        Field of the output.
    """
    atom = lone(field, dim)
    if atom is None:
        changed = window.span or window.stride != 1 or window.before
        return resized(lost(field, dim), dim, size) if changed else field
    reach = field.reach(atom.kind)
    if reach is not None:
        more = max(0, reach.slack - max(0, window.span - window.before))
        start = reach.start - (window.before + more) * atom.jump
        reach = Reach(start, reach.extent + (window.span + 2 * more) * atom.jump)
    return resized(field.reaching(atom.kind, reach), dim, size, atom.jump * window.stride)


def spread(field: Field, dim: int, window: Window, size: int) -> Field:
    """Slide a transposed window along an axis: position o reads the inputs i with o = i·stride - before + k·dilation.

    Args:
        field: Field of the input.
        dim: The axis.
        window: What slides.
        size: Size of the axis afterwards.

    Returns:
        Field of the output; fractional where the stride is above 1.
    """
    step = Fraction(1, window.stride)
    return stretched(field, dim, (step, (window.before - window.span) * step, window.before * step), size)


def stretched(field: Field, dim: int, reads: tuple[Fraction, Fraction, Fraction], size: int) -> Field:
    """Resample an axis.

    Args:
        field: Field of the input.
        dim: The axis.
        reads: (step, low, high): position o reads inputs from o·step + low to o·step + high, both included.
        size: Size of the axis afterwards.

    Returns:
        Field of the output.
    """
    atom = lone(field, dim)
    if atom is None:
        return resized(lost(field, dim), dim, size)
    step, low, high = reads
    reach = field.reach(atom.kind)
    if reach is not None:
        reach = Reach(reach.start + low * atom.jump, reach.extent + (high - low) * atom.jump)
    return resized(field.reaching(atom.kind, reach), dim, size, atom.jump * step)


def picked(field: Field, dim: int, first: int, step: int, size: int) -> Field:
    """Every `step`-th position of an axis from `first` on; a negative first is padding before the axis."""
    return windowed(field, dim, Window(1, step, -first), size)


def contracted(field: Field, dim: int, *, flattened: bool) -> Field:
    """Sum an axis out, its atoms left in place for the caller to replace.

    Args:
        field: Field of the input.
        dim: The axis.
        flattened: Whether positions are mixed with channels, which is global even where there is only one.

    Returns:
        Field whose intervals hold every position along the axis.
    """
    for kind in AXES:
        inner = [atom for atom in field.dims[dim] if atom.kind == kind]
        reach = field.reach(kind)
        if not inner or reach is None:
            continue
        others = any(a.kind == kind and a.size > 1 for i, axis in enumerate(field.dims) if i != dim for a in axis)
        grown = sum(((atom.size - 1) * atom.jump for atom in inner), ZERO)
        if others or (grown == 0 and not flattened):
            field = field.reaching(kind, replace(reach, extent=reach.extent + grown))
        else:
            field = field.reaching(kind, None)
    return field


def _pattern(field: Field, kind: Kind) -> tuple[tuple[int, int, Fraction], ...]:
    last = len(field.dims)
    return tuple(
        (last - i, a.size, a.jump) for i, x in enumerate(field.dims) for a in x if a.kind == kind and a.size > 1
    )


def hull(fields: Sequence[Field], dims: Iterable[Axis]) -> Field:
    """Smallest field that holds all of some fields whose axes are aligned from the last.

    Args:
        fields: At least one.
        dims: Axes of the result.

    Returns:
        The hull; global along what moves differently in two of them.
    """
    out = Field(tuple(dims), None, None)
    for kind in AXES:
        reaches = [field.reach(kind) for field in fields]
        if len({_pattern(field, kind) for field in fields}) == 1 and None not in reaches:
            known = [reach for reach in reaches if reach is not None]
            start = min(reach.start for reach in known)
            end = max(reach.start + reach.extent for reach in known)
            out = out.reaching(kind, Reach(start, end - start))
    return out
