"""What one forward pass shows of each layer: each value is read once, when it has just been computed.

Axes: n images, c channels, p positions (rows times columns), u units of all layers side by side.
"""

import math
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from lurk.errors import ModelError
from lurk.graph.faster.folding import folded
from lurk.graph.hooks import Forward, tapped
from lurk.graph.plan import Plan
from lurk.records import LayerInfo
from lurk.sweeps.device_batches import Returning
from lurk.sweeps.kernels.maps import Maps, Reading
from lurk.sweeps.kernels.measure import measure
from lurk.sweeps.reducers import Batch
from lurk.sweeps.sketch import sampled_places, sampled_positions

Cut = tuple[float, float]
Figures = dict[str, Tensor]


class Measurement:
    """Collects what one forward pass shows of every layer; the `receive` functions are what the taps call."""

    def __init__(self, layers: tuple[LayerInfo, ...], set_size: int) -> None:
        """Prepare for batches of an image set.

        Args:
            layers: The layers, in the order in which `receive` numbers them.
            set_size: Number of images in the whole set; it decides how densely positions are sampled.
        """
        self._layers = layers
        self.units = sum(layer.units for layer in layers)
        self.positions = torch.cat(
            [torch.full((layer.units,), layer.grid[0] * layer.grid[1], dtype=torch.int64) for layer in layers]
        )
        self._set_size = set_size
        self._images = torch.zeros(0, dtype=torch.int64)
        self._places: dict[int, Tensor] = {}
        self._before: dict[int, Maps] = {}
        self._figures: dict[int, Figures] = {}
        self._returning: Returning | None = None

    def tapped(self, plan: Plan) -> AbstractContextManager[Forward]:
        """Measure whatever runs through a model; the forward pass ends after its last layer and returns nothing.

        What no layer is, it need not compute: batch normalisations and paddings are folded into convolutions.

        Args:
            plan: The model, whose layers are those of this measurement.

        Returns:
            The context, which gives the forward pass.
        """
        given = self.receive, self.receive_before
        return tapped(folded(plan), *given, receive_uncut=self.receive_uncut, to_the_end=False)

    def begin(self, images: Tensor) -> None:
        """Expect a batch: int64 (n,), image numbers."""
        self._images, self._returning = images, None
        for found in (self._places, self._before, self._figures):
            found.clear()

    def end(self) -> Returning:
        """Begin to fetch what the forward pass showed, all in one copy, but for the sampled values: they are many."""
        every = [figures for _, figures in sorted(self._figures.items())]
        names = [name for name in (every[0] if every else ()) if name != "drawn"]
        joined = {name: torch.cat([figures[name] for figures in every], 1) for name in names}
        self._returning = Returning(joined)
        return self._returning

    def _returned(self) -> Figures:
        """What the forward pass showed of all layers side by side, on the CPU."""
        return (self._returning or self.end()).get()

    def receive_before(self, number: int, value: Tensor) -> None:
        """Measure the value that enters a layer's monotone activation function.

        Args:
            number: Which layer.
            value: Floating point (n, c, rows, columns); read now, as the function may overwrite it.
        """
        self._before[number] = measure(_maps(value), Reading(), torch.zeros(len(value), 0, dtype=torch.int64))

    def receive(self, number: int, activation: Tensor) -> None:
        """Measure a layer, after `receive_before` if it has a monotone activation function.

        Args:
            number: Which layer.
            activation: Floating point (n, c, rows, columns); read now, so that it may be overwritten later.

        Raises:
            ModelError: The layer ran on some images of the batch only.
        """
        found = self._measured(number, activation)
        before = self._before.get(number)
        self._figures[number] = _figures(found, found.maximum, before or found, has_before=before is not None)

    def receive_uncut(self, number: int, cut: Cut, value: Tensor) -> None:
        """Measure a layer whose activation function only cuts values off, by the value that enters it alone.

        Args:
            number: Which layer.
            cut: What the function cuts values off at, below and above.
            value: Floating point (n, c, rows, columns); read now, as the function may overwrite it.

        Raises:
            ModelError: The layer ran on some images of the batch only.
        """
        found = self._measured(number, value, cut)
        self._figures[number] = _figures(found, found.maximum.clamp(*cut), found, has_before=True)

    def _measured(self, number: int, values: Tensor, cut: Cut = (-math.inf, math.inf)) -> Maps:
        layer, maps = self._layers[number], _maps(values)
        if len(maps) != len(self._images):
            raise ModelError(_partly(layer))
        lower = -math.inf if layer.lower_bound is None else layer.lower_bound
        upper = math.inf if layer.bound is None else layer.bound
        return measure(maps, Reading(*cut, lower, upper), self._sampled(maps.shape[2], maps.device))

    def _sampled(self, positions: int, place: torch.device) -> Tensor:
        """The sampled positions of each image, int64 (n, s)."""
        if positions not in self._places:
            count = sampled_positions(positions, self._set_size)
            self._places[positions] = sampled_places(self._images, positions, count).to(place)
        return self._places[positions]

    def unusable(self) -> dict[int, str]:
        """Image numbers for which some layer gave NaN or infinity, with that layer's name."""
        found: dict[int, str] = {}
        mean = self._returned().get("mean")
        if mean is None or bool(torch.isfinite(mean).all()):
            return found
        ran = [self._layers[number] for number in sorted(self._figures)]
        for layer, means in zip(ran, torch.split(mean, [layer.units for layer in ran], 1), strict=True):
            for image in self._images[~torch.isfinite(means).all(1)].tolist():
                found.setdefault(image, layer.name)
        return found

    def batch(self, labels: Tensor) -> Batch:
        """All layers side by side.

        Args:
            labels: int64 (n,), -1 for none.

        Returns:
            The batch, on the CPU but for what was drawn.

        Raises:
            ModelError: A layer did not run: the model takes another way for some images.
        """
        for number, layer in enumerate(self._layers):
            if number not in self._figures:
                raise ModelError(_partly(layer))
        drawn = tuple(self._figures[number]["drawn"] for number in range(len(self._layers)))
        return Batch(images=self._images, labels=labels, positions=self.positions, drawn=drawn, **self._returned())


def _maps(values: Tensor) -> Tensor:
    """The values of (n, c, rows, columns) as (n, c, p)."""
    return values.detach().flatten(2)


def _partly(layer: LayerInfo) -> str:
    return f"layer {layer.name} does not run on every image; leave it out with --layers"


def _figures(found: Maps, maximum: Tensor, before: Maps, *, has_before: bool) -> Figures:
    """The fields of a batch.

    Args:
        found: What was measured of the scores.
        maximum: float32 (n, c), their maximum.
        before: What was measured of the values that enter the monotone activation function; without one, of the scores.
        has_before: Whether there is one.

    Returns:
        Tensors of (n, c), and those drawn.
    """
    nothing = torch.full_like(maximum, torch.nan)
    return {
        "maximum": maximum,
        "position": before.position,
        "mean": found.mean,
        "squares": found.squares,
        "before": before.maximum if has_before else nothing,
        "before_mean": before.value_mean.float() if has_before else nothing,
        "lowest": before.lowest,
        "positive": found.positive,
        "bounded": found.bounded,
        "drawn": found.drawn,
    }
