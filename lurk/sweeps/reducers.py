"""What a sweep measures on a batch, and what every running statistic of a sweep can do with it.

Axes: n images of a batch, u units of all layers side by side, c units of one layer, s sampled positions of an image.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from lurk.storage.npy_file import Array, StoredArray

State = Mapping[str, Array | StoredArray]


@dataclass(frozen=True)
class Batch:
    """What a batch of images shows of every unit.

    Args:
        images: int64 (n,), position of each image in the image set.
        labels: int64 (n,), class of each image; -1 for none.
        maximum: float32 (n, u), spatial max.
        position: int32 (n, u), row-major number of the first position that holds the max; behind a monotone activation
            function, of the first that holds the max of what enters it.
        mean: float64 (n, u), spatial mean.
        squares: float64 (n, u), sum over positions of the squared difference from the spatial mean.
        before: float32 (n, u), spatial max of the value that enters the monotone activation function; NaN without one.
        before_mean: float32 (n, u), spatial mean of that value; NaN without one.
        lowest: float32 (n, u), that value if it is the same at every position, else -inf; without a monotone
            activation function the unit's own.
        positive: int32 (n, u), number of positions above 0.
        bounded: int32 (n, u), number of positions at a bound of the activation function.
        positions: int64 (u,), number of positions of each unit's layer.
        drawn: For each layer the bin numbers of the sampled values: int16 (n, c, s).
    """

    images: Tensor
    labels: Tensor
    maximum: Tensor
    position: Tensor
    mean: Tensor
    squares: Tensor
    before: Tensor
    before_mean: Tensor
    lowest: Tensor
    positive: Tensor
    bounded: Tensor
    positions: Tensor
    drawn: tuple[Tensor, ...]


class Reducer(Protocol):
    """A running statistic of all units at once."""

    def add(self, batch: Batch) -> None:
        """Take in a batch."""

    def merge(self, state: State) -> None:
        """Take in all that another reducer of the same sizes has seen; an empty reducer then equals the other."""

    def state(self) -> dict[str, Array]:
        """What it has seen, as arrays for `merge`; they are its own memory, not copies, wherever that is possible."""
