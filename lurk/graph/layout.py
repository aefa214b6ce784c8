"""Where the images, channels and positions of an activation lie, whatever order its axes come in."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from torch import Tensor

from lurk.graph.axes import AXES, Axis, Kind
from lurk.graph.receptive_field import Field, lone

Grid = tuple[int, int]
Pair = tuple[float, float]


@dataclass(frozen=True)
class Layout:
    """How to bring an activation into (n, channels, rows, cols).

    Args:
        order: Its axes as images, channels, then positions.
        grid: (rows, columns) of positions.
        first: The first position that counts: 1 where a class token is kept apart.
        last: The position after the last that counts, None where all count.
        shape: Shape of one image's raw output.
    """

    order: tuple[int, ...]
    grid: Grid
    shape: tuple[int, ...]
    first: int = 0
    last: int | None = None

    @property
    def units(self) -> int:
        """Number of channels."""
        return self.shape[self.order[1] - (self.order[0] < self.order[1])]

    def arranged(self, value: Tensor, images: int) -> Tensor:
        """Bring an activation into (n, channels, rows, cols), a view where that can be.

        Args:
            value: The raw output.
            images: Number of images in the batch.

        Returns:
            float (n, channels, rows, cols).
        """
        if value.dim() < len(self.order):
            value = value.reshape(images, -1, *value.shape[1:])
        value = value.permute(self.order)
        if self.last is not None:
            value = value[:, :, self.first : self.last]
        return value.reshape(value.shape[0], value.shape[1], *self.grid)


@dataclass(frozen=True)
class Axes:
    """Which axis of an activation is what; the rest are positions."""

    images: int
    channels: int


def arrange(shape: Sequence[int], axes: Axes, images: int, grids: Sequence[Grid]) -> list[Layout]:
    """Find the layouts of an activation: its positions, and its class token where it has one.

    Args:
        shape: Shape of the raw output for a batch.
        axes: Which axis is what.
        images: Number of images in the batch.
        grids: (rows, columns) of the maps that came before, latest last.

    Returns:
        One layout, or two where a class token stands before the positions; none where images cannot be told apart.
    """
    shape = list(shape)
    if shape[axes.images] != images:
        if axes.images != 0 or shape[0] % images or axes.channels == 0:
            return []
        shape = [images, shape[0] // images, *shape[1:]]
        axes = Axes(0, axes.channels + 1)
    rest = [i for i in range(len(shape)) if i not in (axes.images, axes.channels)]
    order = (axes.images, axes.channels, *rest)
    alone = tuple(size for i, size in enumerate(shape) if i != axes.images)
    sizes = [shape[i] for i in rest]
    if len(sizes) != 1:
        grid = (prod(sizes[:-1]), sizes[-1]) if sizes else (1, 1)
        return [Layout(order, grid, alone)]
    return _tokens(order, sizes[0], alone, grids)


def _tokens(order: tuple[int, ...], count: int, alone: tuple[int, ...], grids: Sequence[Grid]) -> list[Layout]:
    for extra in (0, 1):
        grid = next((g for g in reversed(grids) if g[0] * g[1] == count - extra and count > extra), None)
        if grid is not None:
            body = Layout(order, grid, alone, extra, count)
            return [body, Layout(order, (1, 1), alone, 0, 1)] if extra else [body]
    return [Layout(order, (count, 1), alone)]


def axes_of(field: Field, default: Axes) -> Axes:
    """Which axis is what, by the meaning that the graph gave to each.

    Args:
        field: Field of the activation.
        default: What is usual for the module, taken where the graph does not tell.

    Returns:
        The axes.
    """
    images = [i for i in range(len(field.dims)) if _first(field.dims[i]) == "n"]
    image = default.images if default.images in images or not images else images[0]
    channels = [i for i in range(len(field.dims)) if field.kinds(i) == {"c"} and i != image]
    channel = default.channels if default.channels in channels or not channels else channels[-1]
    if channel == image:
        channel = next(i for i in (1, 0) if i != image)
    return Axes(image, channel)


def _first(axis: Axis) -> Kind:
    return next((atom.kind for atom in axis if atom.size > 1), axis[0].kind if axis else "?")


def located(field: Field, layout: Layout) -> tuple[Pair, Pair, Pair] | None:
    """Receptive field, jump and offset of a laid-out activation, each (rows, columns) in pixels.

    Args:
        field: Field of the activation.
        layout: How its positions are laid out.

    Returns:
        (size, jump, offset); None where the field is global or does not run along the layout's rows and columns.
    """
    if len(field.dims) != len(layout.order):
        return None
    one, two = (_along(field, layout, which) for which in (0, 1))
    if one is None or two is None:
        return None
    return ((one[0], two[0]), (one[1], two[1]), (one[2], two[2]))


def _along(field: Field, layout: Layout, which: int) -> tuple[float, float, float] | None:
    kind = AXES[which]
    reach = field.reach(kind)
    atoms = [atom for axis in field.dims for atom in axis if atom.kind == kind and atom.size > 1]
    if reach is None or len(atoms) > 1:
        return None
    if atoms and not _runs(field, layout, which):
        return None
    wide = [atom.jump for axis in field.dims for atom in axis if atom.kind == kind]
    jump = atoms[0].jump if atoms else max(wide, default=reach.extent)
    low = reach.start - reach.slack * jump
    return (float(reach.extent + 2 * reach.slack * jump), float(jump), float(low))


def _runs(field: Field, layout: Layout, which: int) -> bool:
    rest = layout.order[2:]
    if len(rest) == 2:
        atom = lone(field, rest[which])
        return atom is not None and atom.kind == AXES[which] and atom.size == layout.grid[which]
    if len(rest) != 1 or layout.first:
        return False
    atoms = [atom for atom in field.dims[rest[0]] if atom.size > 1]
    sizes = [(atom.kind, atom.size) for atom in atoms]
    wanted = [(kind, size) for kind, size in zip(AXES, layout.grid, strict=True) if size > 1]
    return sizes == wanted
