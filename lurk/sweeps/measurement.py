"""What is measured of a layer's activation on a batch, in as few passes over it as the definitions allow.

Axes: n images, c channels, p positions (rows times columns), u units of all layers side by side.
"""

import torch
from torch import Tensor
from torch.nn import functional

from lurk.errors import ModelError
from lurk.records import LayerInfo
from lurk.sweeps.reducers import Batch
from lurk.sweeps.sketch import bin_values, sample, sampled_positions

CHUNK = 1 << 18
FIELDS = ("maximum", "position", "mean", "squares", "positive", "bounded", "before", "before_mean", "lowest")


class Measurement:
    """Collects what one forward pass shows of every layer; `receive` is what the taps call."""

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
        self._parts: dict[int, tuple[Tensor, ...]] = {}
        self._before: dict[int, tuple[Tensor, ...]] = {}
        self._bins: dict[int, tuple[Tensor, Tensor]] = {}
        self._tops: dict[int, Tensor] = {}

    def begin(self, images: Tensor) -> None:
        """Expect a batch: int64 (n,), image numbers."""
        self._images = images
        self._parts.clear()
        self._before.clear()
        self._bins.clear()

    def receive_before(self, number: int, value: Tensor) -> None:
        """Measure the value that enters a layer's monotone activation function.

        Args:
            number: Which layer.
            value: Floating point (n, c, rows, columns); read now, as the function may overwrite it.
        """
        self._before[number] = _extremes(value.detach().float().flatten(2))

    def receive(self, number: int, activation: Tensor) -> None:
        """Measure a layer, after `receive_before` if it has a monotone activation function.

        Args:
            number: Which layer.
            activation: Floating point (n, c, rows, columns); read now, so that it may be overwritten later.

        Raises:
            ModelError: The layer ran on some images of the batch only.
        """
        values = activation.detach().float().contiguous(memory_format=torch.channels_last)
        n, channels = values.shape[:2]
        if n != len(self._images):
            raise ModelError(_partly(self._layers[number]))
        rows = values.permute(0, 2, 3, 1).reshape(n, -1, channels)
        maximum, *sums = _sums(rows, self._layers[number])
        position, *before = self._before.get(number) or _extremes_without(values, maximum, flat=sums[1] == 0)
        self._parts[number] = tuple(part.cpu() for part in (maximum, position, *sums, *before))
        if bool(torch.isfinite(sums[0]).all()):
            drawn = sample(rows, self._images, sampled_positions(rows.shape[1], self._set_size))
            self._bins[number] = bin_values(drawn, self._tops.get(number))

    def unusable(self) -> dict[int, str]:
        """Image numbers for which some layer gave NaN or infinity, with that layer's name."""
        found: dict[int, str] = {}
        for number in sorted(self._parts):
            maximum, _, mean, squares, *_ = self._parts[number]
            finite = (torch.isfinite(maximum) & torch.isfinite(mean) & torch.isfinite(squares)).all(1)
            for image in self._images[~finite].tolist():
                found.setdefault(image, self._layers[number].name)
        return found

    def batch(self, labels: Tensor) -> Batch:
        """All layers side by side. Later batches are counted in windows that hold this one's largest values too.

        Args:
            labels: int64 (n,), -1 for none.

        Returns:
            The batch.

        Raises:
            ModelError: A layer did not run: the model takes another way for some images.
        """
        for number, layer in enumerate(self._layers):
            if number not in self._parts:
                raise ModelError(_partly(layer))
        self._tops = {number: top for number, (_, top) in self._bins.items()}
        parts = [self._parts[number] for number in range(len(self._layers))]
        joined = (torch.cat(part, 1) for part in zip(*parts, strict=True))
        return Batch(
            images=self._images,
            labels=labels,
            positions=self.positions,
            bins=tuple(self._bins[number] for number in range(len(self._layers))),
            **dict(zip(FIELDS, joined, strict=True)),
        )


def _partly(layer: LayerInfo) -> str:
    return f"layer {layer.name} does not run on every image; leave it out with --layers"


def _extremes(values: Tensor) -> tuple[Tensor, ...]:
    """Per image and channel of float32 (n, c, p): position of the max, the max, the mean, and the value of a flat map.

    NaN counts as the lowest number, infinity as the highest. Images are taken in pieces that stay in the processor's
    cache.
    """
    n, channels, positions = values.shape
    maximum, mean = (values.new_empty((n, channels)) for _ in range(2))
    lowest = torch.full_like(maximum, -torch.inf)
    place = torch.empty((n, channels), dtype=torch.int64, device=values.device)
    step = max(1, CHUNK // (positions * channels))
    for start in range(0, n, step):
        piece, part = values[start : start + step], slice(start, start + step)
        torch.mean(piece, 2, out=mean[part])
        if not bool(torch.isfinite(mean[part]).all()):
            piece = piece.nan_to_num(nan=torch.finfo(piece.dtype).min)
            mean[part] = piece.mean(2).nan_to_num()
        torch.max(piece, 2, out=(maximum[part], place[part]))
        if bool((even := _even(maximum[part], mean[part])).any()):
            lowest[part][even] = _flat(piece[even])
    return place.int(), maximum, mean, lowest


def _even(maximum: Tensor, mean: Tensor) -> Tensor:
    """Which maps may have the same value at every position: those whose mean is the max, but for rounding."""
    return maximum - mean <= 1e-3 * maximum.abs()


def _flat(maps: Tensor) -> Tensor:
    """The value of maps (m, p) that have the same value at every position; of the others -inf, float32 (m,)."""
    return torch.where((maps == maps[:, :1]).all(1), maps[:, 0], -torch.inf)


def _extremes_without(values: Tensor, maximum: Tensor, *, flat: Tensor) -> tuple[Tensor, ...]:
    """What stands for `_extremes` where no monotone activation function follows: the position of the unit's own max.

    Args:
        values: float32 (n, c, rows, columns).
        maximum: float32 (n, c), spatial max.
        flat: bool (n, c), whether all positions have the same value.

    Returns:
        The position, twice NaN, and the lowest value where it is known.
    """
    _, position = functional.adaptive_max_pool2d(values, 1, return_indices=True)
    none = torch.full_like(maximum, torch.nan)
    return position.view(maximum.shape).int(), none, none, torch.where(flat, maximum, -torch.inf)


def _sums(rows: Tensor, layer: LayerInfo) -> tuple[Tensor, ...]:
    """Per image and channel: max, mean, squared differences from it, positions above 0, positions at a bound.

    Values are summed in float64: a signed unit's may cancel, a large one's squares overflow. Rows are taken in pieces
    that stay in the processor's cache.
    """
    n, positions, channels = rows.shape
    mean, squares = (rows.new_empty((n, channels), dtype=torch.float64) for _ in range(2))
    maximum, positive, bounded = (
        rows.new_empty((n, channels)),
        rows.new_empty((n, channels)),
        rows.new_zeros((n, channels)),
    )
    step = max(1, CHUNK // (positions * channels))
    scratch = torch.empty_like(rows[:step])
    for start in range(0, n, step):
        piece, part = rows[start : start + step], slice(start, start + step)
        buffer, precise = scratch[: len(piece)], piece.double()
        torch.amax(piece, 1, out=maximum[part])
        torch.mean(precise, 1, out=mean[part])
        precise.sub_(mean[part, None])
        torch.sum(precise.mul_(precise), 1, out=squares[part])
        torch.sum(torch.gt(piece, 0, out=buffer), 1, out=positive[part])
        if layer.bound is not None:
            torch.sum(torch.ge(piece, layer.bound, out=buffer), 1, out=bounded[part])
        if layer.lower_bound is not None:
            bounded[part] += torch.sum(torch.le(piece, layer.lower_bound, out=buffer), 1)
    return maximum, mean, squares, positive, bounded
