"""Which axes of an activation are its images, channels and positions, and what its positions see."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import prod

import torch
from torch import Tensor

from lurk.graph.layout.tokens import Grid, Positions
from lurk.graph.receptive.coordinates import (
    IMAGES,
    coordinate,
    core,
    image_axis,
    images_first,
    is_coordinate,
    is_global,
)

Guess = Callable[[int, Positions | None], Positions | None]
Pair = tuple[float, float]


@dataclass(frozen=True)
class Layout:
    """How to bring an activation into (n, channels, rows, cols).

    Args:
        order: Its axes as images, channels, then positions.
        grid: (rows, columns) of positions.
        shape: Shape of one image's raw output.
        entries: Which entries the positions are, row by row; None if they are all, in order. Tokens without a position
            are kept apart, and windows are put together.
        placed: Whether the rows and columns are those of the image; else it is not known where the positions lie.
    """

    order: tuple[int, ...]
    grid: Grid
    shape: tuple[int, ...]
    entries: range | tuple[int, ...] | None = None
    placed: bool = True

    @property
    def units(self) -> int:
        """Number of channels."""
        return self.shape[self.order[1] - (self.order[0] < self.order[1])]

    def arranged(self, value: Tensor, images: int) -> Tensor:
        """Bring an activation into (n, channels, rows, cols), as a view if possible.

        Args:
            value: The raw output.
            images: Number of images in the batch.

        Returns:
            float (n, channels, rows, cols).
        """
        if value.dim() < len(self.order):
            value = value.reshape(images, -1, *value.shape[1:])
        value = value.permute(self.order)
        if isinstance(self.entries, range):
            value = value.flatten(2)[:, :, self.entries.start : self.entries.stop]
        elif self.entries is not None:
            value = value.flatten(2)[:, :, torch.tensor(self.entries, device=value.device)]
        return value.reshape(value.shape[0], value.shape[1], *self.grid)


@dataclass(frozen=True)
class Axes:
    """The axes of images and channels; the others are positions."""

    images: int
    channels: int


def arrange(
    shape: Sequence[int], axes: Axes, images: int, own: Positions | None, guess: Guess, *, upright: bool = True
) -> list[Layout]:
    """Find the layouts of an activation: that of its positions, and one for each token that has no position.

    Args:
        shape: Shape of the raw output for a batch.
        axes: Which axis is what.
        images: Number of images in the batch.
        own: The positions that the activation's coordinates tell; None if they do not.
        guess: From the number of tokens of a sequence, and these, to its positions; None if they are not known.
        upright: Whether two axes of positions, of which `own` tells nothing, are the rows and columns of the image.

    Returns:
        The layouts, that of the positions first; none if images cannot be told apart.
    """
    shape, is_whole = list(shape), shape[axes.images] == images
    if not is_whole:
        if axes.images != 0 or shape[0] % images or axes.channels == 0:
            return []
        shape = [images, shape[0] // images, *shape[1:]]
        axes = Axes(0, axes.channels + 1)
    rest = [i for i in range(len(shape)) if i not in (axes.images, axes.channels)]
    order = (axes.images, axes.channels, *rest)
    alone = tuple(size for i, size in enumerate(shape) if i != axes.images)
    sizes = [shape[i] for i in rest]
    own = own if own is not None and own.count == prod(sizes) else None
    found = guess(sizes[0], own) if len(sizes) == 1 else own
    if found is None:
        grid = (prod(sizes[:-1]), sizes[-1]) if len(sizes) > 1 else (sizes[0], 1) if sizes else (1, 1)
        return [Layout(order, grid, alone, placed=prod(sizes) == 1 or (len(sizes) == 2 and is_whole and upright))]
    body = Layout(order, found.grid, alone, _as_range(found.index, found.count))
    return [body, *(Layout(order, (1, 1), alone, range(at, at + 1)) for at in found.extras)]


def _as_range(index: tuple[int, ...], count: int) -> range | tuple[int, ...] | None:
    """Entries as a range if they follow one another, None if they are all and in order."""
    whole = range(index[0], index[0] + len(index))
    return index if index != tuple(whole) else whole if len(index) < count else None


def axes_of(field: Tensor, default: Axes) -> Axes:
    """Find which axis is what, by the coordinates that lie along each.

    Args:
        field: Coordinates of the activation.
        default: What is usual for the module, taken if the coordinates do not tell.

    Returns:
        The axes.
    """
    images = image_axis(field)
    image = default.images if images is None else images
    positions = {dim for dims in position_axes(field) for dim in dims}
    channels = [dim for dim, size in enumerate(field.shape) if size > 1 and dim != image and dim not in positions]
    channel = default.channels if default.channels in channels or not channels else channels[-1]
    if channel == image:
        channel = next(dim for dim in (1, 0) if dim != image)
    return Axes(image, channel)


def position_axes(field: Tensor) -> tuple[list[int], list[int]]:
    """Return the axes along which the rows that positions see vary, and those along which the columns do."""
    axis = image_axis(field)
    images = images_first(field, axis)
    if axis is None or images is None:
        return ([], [])
    found = []
    for ends in (images[1], images[3]):
        dims = [dim for dim in range(ends.dim()) if ends.shape[dim] > 1 and dim != axis]
        found.append([dim for dim in dims if not torch.equal(ends, ends.narrow(dim, 0, 1).expand_as(ends))])
    return (found[0], found[1])


def is_upright(field: Tensor, axes: Axes) -> bool:
    """Whether no coordinate speaks against two axes of positions being the rows and the columns of the image.

    Args:
        field: Coordinates of an activation.
        axes: Its axes of images and channels.

    Returns:
        False for heads times tokens, say: the tokens vary in their rows and in their columns.
    """
    first, *others = [dim for dim in range(field.dim()) if dim not in (axes.images, axes.channels)] or [0]
    rows, cols = position_axes(field)
    return set(rows) <= {first} and set(cols) <= set(others)


def grid_of(field: Tensor) -> Grid | None:
    """Return (rows, columns) of the positions of a map, or of a row of tokens; None if they lie in another way."""
    rows, cols = position_axes(field)
    images = images_first(field, image_axis(field))
    if images is None or len(rows) != 1 or len(cols) != 1:
        return None
    if rows != cols:
        return (field.shape[rows[0]], field.shape[cols[0]]) if field.dim() == 4 and rows < cols else None
    down, across = images[[1, 3]].movedim(rows[0] + 1, 1).flatten(2).amax(2)
    width = int((down != down[0]).nonzero()[0])
    if len(down) % width:
        return None
    down, across = down.view(-1, width), across.view(-1, width)
    is_grid = bool((down == down[:, :1]).all()) and bool((across == across[:1]).all())
    return tuple(down.shape) if is_grid else None


def located(field: Tensor, layout: Layout, image: tuple[int, int]) -> tuple[Pair, Pair, Pair] | None:
    """Receptive field, jump and offset of a laid-out activation, each (rows, columns) in pixels.

    Args:
        field: Coordinates of the activation.
        layout: How its positions are laid out.
        image: (height, width) of the image.

    Returns:
        (size, jump, offset); None if the field is global or does not move evenly along the layout's rows and columns.
    """
    if image_axis(field) != layout.order[0] or field.dim() != len(layout.order):
        return None
    images = core(layout.arranged(field, IMAGES))
    if not is_coordinate(images).any() or is_global(images).any():
        return None
    one, two = (_along(images, axis, image[axis]) for axis in (0, 1))
    if one is None or two is None:
        return None
    return ((one[0], two[0]), (one[1], two[1]), (one[2], two[2]))


def _along(images: Tensor, axis: int, length: int) -> tuple[float, float, float] | None:
    """Size, jump and offset along the rows or the columns; the box that holds those of all positions."""
    ends = images[2 * axis : 2 * axis + 2].movedim(2 + axis, 1)
    known, count = is_coordinate(ends), ends.shape[1]
    steps = torch.arange(count, dtype=ends.dtype)[:, None, None]
    middle = (count - 1) // 2
    step = coordinate(images[4 + axis]).amax()
    if count > 1:
        step = (ends[1, middle + 1] - ends[1, middle]).amax()
    moved = coordinate(ends) + torch.stack([steps, -steps]) * step
    low, high = (moved[i][known[i]].amax() for i in (0, 1))
    is_even = bool(((moved[0] == low) & (moved[1] == high)).all())
    size, jump, offset = (float(Fraction(float(x)).limit_denominator(1000)) for x in (low + high, step, -low))
    return None if jump <= 0 or (size >= length and not is_even) else (size, jump, offset)
