"""What a picture is to make large: objectives, closed under sums and weights.

An objective gives one number for each picture of a batch: picture i has its own unit. Axes: f pictures, u units.
"""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor

from lurk.errors import LurkError
from lurk.graph.partial_forward import Reached


class Objective:
    """What ascent makes large; `a + 2 * b` is one again, and `-a` makes a small."""

    layers: tuple[str, ...] = ()
    to_the_end: bool = False

    def value(self, reached: Reached) -> Tensor:
        """The number of each picture, float (f,), with the graph of its gradients."""
        raise NotImplementedError

    def __add__(self, other: "Objective") -> "Objective":
        return Total((self, other))

    def __sub__(self, other: "Objective") -> "Objective":
        return Total((self, -other))

    def __mul__(self, weight: float) -> "Objective":
        return Weighted(self, float(weight))

    __rmul__ = __mul__

    def __neg__(self) -> "Objective":
        return Weighted(self, -1.0)


@dataclass(frozen=True)
class Total(Objective):
    """The sum of several.

    Args:
        parts: The objectives.
    """

    parts: tuple[Objective, ...]
    layers: tuple[str, ...] = field(init=False)
    to_the_end: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(dict.fromkeys(name for part in self.parts for name in part.layers)))
        object.__setattr__(self, "to_the_end", any(part.to_the_end for part in self.parts))

    def value(self, reached: Reached) -> Tensor:
        """The sum."""
        return torch.stack([part.value(reached) for part in self.parts]).sum(0)


@dataclass(frozen=True)
class Weighted(Objective):
    """One times a number.

    Args:
        part: The objective.
        weight: The number.
    """

    part: Objective
    weight: float
    layers: tuple[str, ...] = field(init=False)
    to_the_end: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", self.part.layers)
        object.__setattr__(self, "to_the_end", self.part.to_the_end)

    def value(self, reached: Reached) -> Tensor:
        """The product."""
        return self.weight * self.part.value(reached)


class _OfLayer(Objective):
    """One that looks at a single layer."""

    layer: str

    @property
    def layers(self) -> tuple[str, ...]:  # type: ignore[override]  # follows from the layer
        """The layer."""
        return (self.layer,)


@dataclass(frozen=True)
class Channel(_OfLayer):
    """The mean of a unit over its map.

    Args:
        layer: Name of the layer.
        units: Of each picture, the channel.
    """

    layer: str
    units: tuple[int, ...]

    def value(self, reached: Reached) -> Tensor:
        """The mean."""
        return _picked(reached[self.layer], self.units, f"layer {self.layer}: unit").mean((1, 2))


@dataclass(frozen=True)
class Neuron(_OfLayer):
    """A unit at one position.

    Args:
        layer: Name of the layer.
        units: Of each picture, the channel.
        row: Row of the position, -1 for the middle; of two middle rows the lower one.
        col: Column of the position, -1 for the middle; of two middle columns the right one.
    """

    layer: str
    units: tuple[int, ...]
    row: int = -1
    col: int = -1

    def value(self, reached: Reached) -> Tensor:
        """The activation there."""
        values = _picked(reached[self.layer], self.units, f"layer {self.layer}: unit")
        rows, cols = values.shape[1:]
        row, col = rows // 2 if self.row == -1 else self.row, cols // 2 if self.col == -1 else self.col
        if not (0 <= row < rows and 0 <= col < cols):
            raise LurkError(
                f"layer {self.layer} has rows 0 to {rows - 1} and columns 0 to {cols - 1} (-1 for the middle), "
                f"not row {self.row}, column {self.col}"
            )
        return values[:, row, col]


@dataclass(frozen=True)
class ClassScore(Objective):
    """The network's score of a class, before any softmax.

    Args:
        classes: Of each picture, the class number.
    """

    classes: tuple[int, ...]
    to_the_end = True

    def value(self, reached: Reached) -> Tensor:
        """The score."""
        return _picked(reached.logits, self.classes, "class")


@dataclass(frozen=True)
class Energy(_OfLayer):
    """The mean square of a layer's activations, or of one unit's: DeepDream's.

    Args:
        layer: Name of the layer.
        units: Of each picture, the channel; empty for the whole layer.
    """

    layer: str
    units: tuple[int, ...] = ()

    def value(self, reached: Reached) -> Tensor:
        """Half the mean square."""
        values = reached[self.layer]
        if self.units:
            values = _picked(values, self.units, f"layer {self.layer}: unit")
        return values.square().flatten(1).mean(1) / 2


@dataclass(frozen=True)
class Likeness(_OfLayer):
    """How near a layer's activations are to given ones: minus their squared distance, relative to the given ones.

    Args:
        layer: Name of the layer.
        given: float (1, channels, rows, cols).
    """

    layer: str
    given: Tensor

    def value(self, reached: Reached) -> Tensor:
        """Minus the relative squared distance: 0 where they are equal."""
        apart = (reached[self.layer] - self.given).flatten(1).square().sum(1)
        return -apart / self.given.square().sum().clamp(min=torch.finfo(self.given.dtype).tiny)


@dataclass(frozen=True)
class Diverse(_OfLayer):
    """Another objective, less what a unit's pictures have in common in a layer.

    How alike two pictures are is the cosine between the Gram matrices of the layer's channels, lucid's measure; it
    counts in proportion to the objective, so that one weight serves units of any scale.

    Args:
        inner: The objective.
        layer: Name of the layer.
        repeats: Pictures for each unit, one after the other in the batch.
        weight: What the likeness counts.
    """

    inner: Objective
    layer: str
    repeats: int
    weight: float

    @property
    def layers(self) -> tuple[str, ...]:  # type: ignore[override]  # follows from the parts
        """The layers of both."""
        return tuple(dict.fromkeys([*self.inner.layers, self.layer]))

    @property
    def to_the_end(self) -> bool:  # type: ignore[override]  # follows from the inner one
        """Whether the inner one looks at the model's output."""
        return self.inner.to_the_end

    def value(self, reached: Reached) -> Tensor:
        """The inner one, less its own size times the weighted mean likeness to the unit's other pictures."""
        values = self.inner.value(reached)
        maps = reached[self.layer].flatten(2)
        grams = F.normalize((maps @ maps.transpose(1, 2)).flatten(1), dim=1)
        grams = grams.view(-1, self.repeats, grams.shape[1])
        alike = grams @ grams.transpose(1, 2)
        others: Tensor = (alike.sum(2) - alike.diagonal(dim1=1, dim2=2)) / max(1, self.repeats - 1)
        return values - self.weight * values.detach().abs() * others.flatten()


def _picked(values: Tensor, numbers: tuple[int, ...], words: str) -> Tensor:
    """Of each picture the one channel."""
    wrong = [number for number in numbers if not 0 <= number < values.shape[1]]
    if wrong:
        raise LurkError(f"{words} must be from 0 to {values.shape[1] - 1}, not {wrong[0]}")
    return values[torch.arange(len(numbers), device=values.device), torch.tensor(numbers, device=values.device)]
