"""Windows of maps: for each image of a batch the part of a map that may differ from the map of a known image.

Axes: n images, c channels, h w positions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Places = Sequence[int]


@dataclass(frozen=True)
class Windows:
    """The part of a map that may differ from the known image's.

    Args:
        values: float (n, c, h, w).
        tops: The row at which the window of each image begins.
        lefts: The column at which it begins.
    """

    values: Tensor
    tops: Places
    lefts: Places

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.values.shape[2], self.values.shape[3]

    def share(self, shape: torch.Size) -> float:
        """Share of a map of a shape, (n, c, h, w), that a window takes."""
        return self.size[0] * self.size[1] / (shape[2] * shape[3])

    def read(self, known: Tensor, tops: Places, lefts: Places, size: tuple[int, int], beyond: float = 0.0) -> Tensor:
        """Read larger windows, or other ones.

        Args:
            known: The map of the known image, float (1, c, h, w).
            tops: The row at which the window of each image begins; it may be outside of the map.
            lefts: The column at which it begins.
            size: (height, width).
            beyond: The value outside of the map.

        Returns:
            float (n, c, height, width).
        """
        found = self.values.new_empty(*self.values.shape[:2], *size).to(memory_format=torch.channels_last).fill_(beyond)
        for one, mine, top, left, row, col in zip(found, self.values, self.tops, self.lefts, tops, lefts, strict=True):
            _paste(known[0], one, -row, -col)
            _paste(mine, one, top - row, left - col)
        return found

    def whole(self, known: Tensor) -> Tensor:
        """Return the whole maps, float (n, c, h, w), from that of the known image."""
        start = [0] * len(self.values)
        return self.read(known, start, start, (known.shape[2], known.shape[3]))


def _paste(piece: Tensor, onto: Tensor, top: int, left: int) -> None:
    """Write what fits of a piece, float (c, h, w), onto another at a row and a column."""
    rows = slice(max(top, 0), max(min(top + piece.shape[1], onto.shape[1]), 0))
    cols = slice(max(left, 0), max(min(left + piece.shape[2], onto.shape[2]), 0))
    if rows.start < rows.stop and cols.start < cols.stop:
        onto[:, rows, cols] = piece[:, rows.start - top : rows.stop - top, cols.start - left : cols.stop - left]


@dataclass(frozen=True)
class Slide:
    """What a convolution or a pooling does, along both axes.

    Args:
        span: (rows, cols) of its input that a position reads.
        stride: (down, across).
        padding: (rows, cols) on each side.
        compute: From an input without further padding to its output.
        beyond: What it pads with.
    """

    span: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    compute: Callable[[Tensor], Tensor]
    beyond: float = 0.0

    def run(self, given: Windows, known: Tensor, shape: torch.Size) -> Windows:
        """Slide over windows.

        Args:
            given: Windows of the input.
            known: The input for the known image, float (1, c, h, w).
            shape: Shape of the whole output, (n, c, h, w).

        Returns:
            The windows of the output that these can change.
        """
        if self.span == self.stride == (1, 1) and self.padding == (0, 0):
            return Windows(self.compute(given.values), given.tops, given.lefts)
        sizes, places, reads = [], [], []
        for axis, begins in enumerate((given.tops, given.lefts)):
            span, stride, padding, whole = self.span[axis], self.stride[axis], self.padding[axis], shape[2 + axis]
            size = min(whole, (given.size[axis] + span - 2) // stride + 1)
            first = [-((span - 1 - padding - begin) // stride) for begin in begins]
            places.append([min(max(at, 0), whole - size) for at in first])
            reads.append([at * stride - padding for at in places[axis]])
            sizes.append((size - 1) * stride + span)
        read = given.read(known, reads[0], reads[1], (sizes[0], sizes[1]), self.beyond)
        return Windows(self.compute(read), places[0], places[1])


def union(parts: Sequence[Windows], shape: torch.Size) -> tuple[tuple[int, int], Places, Places]:
    """Find the smallest windows that hold others.

    Args:
        parts: Windows of maps of the same height and width.
        shape: Shape of these maps, (n, c, h, w).

    Returns:
        Their (height, width), and the row and the column at which that of each image begins.
    """
    sizes, places = [], []
    for axis in (0, 1):
        begins = [(part.tops, part.lefts)[axis] for part in parts]
        first = [min(each) for each in zip(*begins, strict=True)]
        ends = [[at + part.size[axis] for at in begin] for part, begin in zip(parts, begins, strict=True)]
        last = [max(each) for each in zip(*ends, strict=True)]
        sizes.append(max(end - at for at, end in zip(first, last, strict=True)))
        places.append([min(at, shape[2 + axis] - sizes[axis]) for at in first])
    return (sizes[0], sizes[1]), places[0], places[1]
