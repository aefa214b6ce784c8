"""What a picture is drawn to make large: objectives, which can be added and weighted.

An objective gives one number for each picture of a batch: picture i has its own unit. A unit is raised by the value
that enters its monotone activation function, if it has one: at a bound of that function, such as ReLU6's 6, the unit
itself has no derivative. Axes: f pictures, u units.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor

from lurk.errors import LurkError
from lurk.graph.partial_forward import Activations
from lurk.methods.attribution.target import check_channels


@dataclass(frozen=True)
class Objective:
    """What ascent makes large; `a + 2 * b` is an objective again, and `-a` makes a small.

    Args:
        value: From what a forward pass computed to a number for each picture, float (f,), with its gradients' graph.
        layers: The layers that it reads.
        to_the_end: Whether it reads the model's output.
        units: The channels that it reads, if it reads one layer and not all of that layer's channels; else empty.
    """

    value: Callable[[Activations], Tensor]
    layers: tuple[str, ...] = ()
    to_the_end: bool = False
    units: tuple[int, ...] = ()

    def __add__(self, other: "Objective") -> "Objective":
        layers = tuple(dict.fromkeys([*self.layers, *other.layers]))
        to_the_end = self.to_the_end or other.to_the_end
        has_units = bool(self.units and other.units) and len(layers) == 1 and not to_the_end
        units = self.units + other.units if has_units else ()
        return Objective(lambda reached: self.value(reached) + other.value(reached), layers, to_the_end, units)

    def __mul__(self, weight: float) -> "Objective":
        return replace(self, value=lambda reached: weight * self.value(reached))

    __rmul__ = __mul__

    def __neg__(self) -> "Objective":
        return self * -1.0

    def __sub__(self, other: "Objective") -> "Objective":
        return self + -other


def channel(layer: str, units: tuple[int, ...]) -> Objective:
    """The mean over its map of what enters a unit's activation function, where the unit is active.

    Args:
        layer: Name of the layer.
        units: The channel of each picture.

    Returns:
        The objective; see `Activations.raised`.
    """

    def value(reached: Activations) -> Tensor:
        return _unit_maps(reached, reached.raised(layer), layer, units).mean((1, 2))

    return Objective(value, (layer,), units=units)


def neuron(layer: str, units: tuple[int, ...], row: int = -1, col: int = -1) -> Objective:
    """What enters a unit's activation function at one position.

    Args:
        layer: Name of the layer.
        units: The channel of each picture.
        row: Row of the position, -1 for the middle; of two middle rows the lower one.
        col: Column of the position, -1 for the middle; of two middle columns the right one.

    Returns:
        The objective.
    """

    def value(reached: Activations) -> Tensor:
        values = _unit_maps(reached, reached.before(layer), layer, units)
        rows, cols = values.shape[1:]
        at = rows // 2 if row == -1 else row, cols // 2 if col == -1 else col
        if not (0 <= at[0] < rows and 0 <= at[1] < cols):
            raise LurkError(
                f"layer {layer} has rows 0 to {rows - 1} and columns 0 to {cols - 1} (-1 for the middle), "
                f"not row {row}, column {col}"
            )
        return values[:, at[0], at[1]]

    return Objective(value, (layer,), units=units)


def class_score(classes: tuple[int, ...], layer: str = "") -> Objective:
    """The network's score of a class, before a softmax or sigmoid that makes it a probability.

    Args:
        classes: The class number of each picture.
        layer: The layer whose units are the class scores; empty if none is known, for what the network gives.

    Returns:
        The objective.
    """
    if not layer:
        return Objective(lambda reached: pick_channels(reached.class_scores, classes, "class"), to_the_end=True)
    return Objective(lambda reached: pick_channels(reached.before(layer), classes, "class").mean((1, 2)), (layer,))


def energy(layer: str, units: tuple[int, ...] = ()) -> Objective:
    """Half the mean square of a layer's activations, or of one unit's: DeepDream's objective.

    Args:
        layer: Name of the layer.
        units: The channel of each picture; empty for the whole layer.

    Returns:
        The objective. Its derivative by what enters a monotone activation function is each activation, divided by their
        number, so that it does not end at a bound.
    """

    def value(reached: Activations) -> Tensor:
        scores, entering = (_unit_maps(reached, part, layer, units) for part in (reached[layer], reached.before(layer)))
        if not reached.has_before(layer):
            return scores.square().flatten(1).mean(1) / 2
        return (scores.detach() * entering).flatten(1).mean(1)

    return Objective(value, (layer,), units=units)


def likeness(layer: str, given: Tensor) -> Objective:
    """Minus the squared distance of a layer's activations from given ones, relative to the given ones.

    Args:
        layer: Name of the layer.
        given: float (1, channels, rows, cols).

    Returns:
        The objective, 0 if the activations are equal.
    """

    def value(reached: Activations) -> Tensor:
        distance = (reached[layer] - given).flatten(1).square().sum(1)
        return -distance / given.square().sum().clamp(min=torch.finfo(given.dtype).tiny)

    return Objective(value, (layer,))


def diverse(objective: Objective, layer: str, repeats: int, weight: float) -> Objective:
    """Another objective, less what a unit's pictures have in common in a layer.

    How alike two pictures are is the cosine between the Gram matrices of the layer's channels, lucid's measure; it
    counts in proportion to the objective, so that one weight serves units of any scale.

    Args:
        objective: The objective.
        layer: Name of the layer.
        repeats: Pictures for each unit, one after the other in the batch.
        weight: What the mean likeness to the unit's other pictures counts.

    Returns:
        The objective.
    """

    def value(reached: Activations) -> Tensor:
        values, maps = objective.value(reached), reached[layer].flatten(2)
        grams = F.normalize((maps @ maps.transpose(1, 2)).flatten(1), dim=1)
        grams = grams.view(-1, repeats, grams.shape[1])
        alike = grams @ grams.transpose(1, 2)
        others: Tensor = (alike.sum(2) - alike.diagonal(dim1=1, dim2=2)) / max(1, repeats - 1)
        return values - weight * values.detach().abs() * others.flatten()

    return Objective(value, tuple(dict.fromkeys([*objective.layers, layer])), objective.to_the_end)


def pick_channels(values: Tensor, numbers: tuple[int, ...], words: str) -> Tensor:
    """Pick one channel of each picture's values.

    Args:
        values: float (f, channels, ...).
        numbers: The channel of each picture.
        words: What a channel is called in a message.

    Returns:
        float (f, ...).

    Raises:
        LurkError: There is no such channel.
    """
    check_channels(values, numbers, words)
    return values[torch.arange(len(numbers), device=values.device), torch.tensor(numbers, device=values.device)]


def _unit_maps(reached: Activations, values: Tensor, layer: str, units: tuple[int, ...]) -> Tensor:
    """Pick the unit of each picture; everything if no units are named."""
    return pick_channels(values, reached.places(layer, units), f"layer {layer}: unit") if units else values
