"""Which entries of an activation belong to positions of the image, in what order, and which are extra tokens.

An entry has a position if the coordinates that flow through the network lie on a grid with those of the others, in any
order: row by row, in windows, shifted. A class token, a register or a distillation token is a constant before the first
attention; after it, it sees the whole image, but has no coordinates of its own.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from lurk.graph.receptive.coordinates import GLOBAL, IMAGES, TAG, coordinate, image_axis, images_first, is_global

Grid = tuple[int, int]
MOST_EXTRA, MOST_MEANS = 64, 8


@dataclass(frozen=True)
class Positions:
    """The entries of an activation that have a position.

    Args:
        grid: (rows, columns).
        index: Number of each position's entry, row by row.
        count: Number of entries.
        outside: The entries that lie in the padding around the image.
    """

    grid: Grid
    index: tuple[int, ...]
    count: int
    outside: tuple[int, ...] = ()

    @property
    def extras(self) -> list[int]:
        """The entries without a position, in order."""
        return sorted(set(range(self.count)) - set(self.index) - set(self.outside))


def positions_by_coordinates(field: Tensor, channels: int, image: Grid | None = None) -> Positions | None:
    """Find the positions of an activation by its coordinates.

    Args:
        field: Coordinates of the activation.
        channels: The axis of its channels.
        image: (height, width) of the image, to leave out what lies in the padding around it; None to keep that.

    Returns:
        The positions; None if there are none with coordinates of their own, or they lie on no grid.
    """
    images = images_first(field, image_axis(field))
    if images is None:
        return None
    values = images.amax(channels + 1).flatten(1)
    if values.numel() * field.shape[channels] != field.numel():  # it does not vary along some axis
        return None
    tags = torch.arange(1, len(values) + 1, dtype=values.dtype)[:, None]
    entries = (torch.floor((values + TAG / 2) / TAG) == tags).all(0).nonzero().flatten()
    ends = coordinate(values[:4]) - torch.where(is_global(values[:4]), GLOBAL, 0.0)
    size = torch.stack([ends[0] + ends[1], ends[2] + ends[3]], 1)[entries]
    if not len(entries) or values.shape[1] - len(entries) > MOST_EXTRA:
        return None
    _, which, counts = torch.unique(size, dim=0, return_inverse=True, return_counts=True)
    usual = entries[which == counts.argmax()]  # without a mean of all positions, which sees more than the others
    for chosen in (entries, usual) if 0 < len(entries) - len(usual) <= MOST_MEANS else (entries,):
        found = _on_grid(ends[:, chosen])
        if found is not None:
            index = chosen[found[1]]
            kept = torch.ones(found[0], dtype=torch.bool) if image is None else _inside(ends[:, index], found[0], image)
            grid = (int(kept.any(1).sum()), int(kept.any(0).sum()))
            inside, outside = (tuple(index[chosen.flatten()].tolist()) for chosen in (kept, ~kept))
            return Positions(grid, inside, values.shape[1], outside)
    return None


def _inside(ends: Tensor, grid: Grid, image: Grid) -> Tensor:
    """Whether each position, without what attention adds to its field, reaches into the image: bool (rows, cols)."""
    above, bottom, before, right = ends
    inside: Tensor = (-above < image[0]) & (bottom > 0) & (-before < image[1]) & (right > 0)
    return inside.view(grid)


def is_map(field: Tensor, channels: int) -> bool:
    """Whether positions have two axes: the rows that they see grow along the first, the columns along the second.

    Args:
        field: Coordinates of an activation.
        channels: The axis of its channels.

    Returns:
        Whether the activation is such a map, whose positions need not be looked for one by one.
    """
    images = images_first(field, image_axis(field))
    if images is None:
        return False
    maps = images.amax(channels + 1)
    sizes = [size for size in maps.shape[1:] if size > 1]
    if len(sizes) != 2:
        return False
    maps = maps.reshape(IMAGES, *sizes)
    down, across = maps[:2], maps[2:4]
    is_even = torch.equal(down, down[:, :, :1].expand_as(down)) and torch.equal(across, across[:, :1].expand_as(across))
    steps = torch.cat([down[:, :, 0].diff(), across[:, 0].diff()], 1)  # of the negative firsts, and of the lasts
    return is_even and bool((steps[0] < 0).all() and (steps[1] > 0).all())


def _on_grid(ends: Tensor) -> tuple[Grid, Tensor] | None:
    """Find (rows, columns) and the entries row by row; `ends` holds -row0, row1, -col0 and col1 of each entry."""
    tops, rows = torch.unique(-ends[0], return_inverse=True)
    lefts, cols = torch.unique(-ends[2], return_inverse=True)
    place = rows * len(lefts) + cols
    if len(tops) * len(lefts) != len(place) or len(torch.unique(place)) != len(place):
        return None
    order = place.argsort()
    bottoms, rights = (ends[at, order].view(len(tops), len(lefts)) for at in (1, 3))
    is_grid = bool((bottoms == bottoms[:, :1]).all()) and bool((rights == rights[:1]).all())
    moves = bool((bottoms[:, 0].diff() > 0).all()) and bool((rights[0].diff() > 0).all())
    return ((len(tops), len(lefts)), order) if is_grid and moves else None


class Sequences:
    """Remembers the sequences of a network, for those whose coordinates do not tell which tokens have positions."""

    def __init__(self) -> None:
        self._known: dict[int, Positions] = {}

    def find(
        self,
        count: int,
        own: Positions | None,
        *,
        grids: Callable[[], Sequence[Grid]],
        constant: Mapping[int, Sequence[int]] | None = None,
    ) -> Positions | None:
        """Find the positions of a sequence.

        Args:
            count: Number of tokens.
            own: What its coordinates tell, if they do.
            grids: Gives (rows, columns) of the maps that came before, latest last.
            constant: By the length of a sequence, the tokens that are the same for every image.

        Returns:
            What the coordinates tell; else what was found of an earlier sequence of that length; else as many positions
            as one of the maps before it has, beside the constant tokens, as many extra tokens as the last sequence
            had, none, or a class token. None if no map fits.
        """
        same = (constant or {}).get(count, ())
        found = own or self._known.get(count)
        if found is None or (same and not found.extras):
            found = self._by_size(count, grids(), same) or found
        if found is not None:
            self._known.pop(count, None)
            self._known[count] = found
        return found

    def _by_size(self, count: int, grids: Sequence[Grid], constant: Sequence[int]) -> Positions | None:
        last = next(reversed(self._known.values()), None)
        splits = [_split(constant, count)] if constant else []
        splits += [] if last is None else [_split(last.extras, last.count)]
        for before, after in (*splits, (0, 0), (1, 0)):
            for grid in reversed(grids):
                if prod(grid) == count - before - after:
                    return Positions(grid, tuple(range(before, count - after)), count)
        return None


def _split(extras: Sequence[int], count: int) -> tuple[int, int]:
    """How many extra tokens come before the others, and how many after them."""
    first = next((at for at in range(count) if at not in extras), 0)
    return first, len(extras) - first


def constant_tokens(output: Tensor) -> list[int]:
    """Return the tokens (n, tokens, c) at the ends that are the same for all images; none if all are."""
    varies = (output != output[:1]).any(2).any(0).nonzero().flatten().tolist()
    if not varies:
        return []
    return [*range(varies[0]), *range(varies[-1] + 1, output.shape[1])]
