"""What a preprocessing does to colours, and its inverse; the only place that undoes it.

Axes: c channels of the network's input, s samples of a picture's pixel: 3 for colour, 1 for grey.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from torch import Tensor

Numbers = tuple[float, ...]
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
USUAL: dict[int, tuple[tuple[str, Numbers, Numbers], ...]] = {  # by channels: what it does, mean, deviation
    3: (
        ("ImageNet's mean and deviation", IMAGENET_MEAN, IMAGENET_STD),
        ("mean 0.5 and deviation 0.5", (0.5,) * 3, (0.5,) * 3),
        ("samples from 0 to 1 as they are", (0.0,) * 3, (1.0,) * 3),
        ("samples from 0 to 255 as they are", (0.0,) * 3, (1 / 255,) * 3),
        ("samples from 0 to 255 less ImageNet's mean", IMAGENET_MEAN, (1 / 255,) * 3),
        ("CLIP's mean and deviation", (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    ),
    1: (
        ("mean 0.5 and deviation 0.5", (0.5,), (0.5,)),
        ("samples from 0 to 1 as they are", (0.0,), (1.0,)),
        ("samples from 0 to 255 as they are", (0.0,), (1 / 255,)),
        ("MNIST's mean and deviation", (0.1307,), (0.3081,)),
    ),
}
SWAPPED = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
Values = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


@dataclass(frozen=True)
class Normalisation:
    """How a pixel of a picture becomes the network's input: (mix · samples - mean) / std.

    >>> Normalisation((0.5,), (0.25,)).describe()
    'mean 0.5, std 0.25'

    Args:
        mean: What is subtracted from the mixed samples, a number for each of c channels.
        std: What they are then divided by, a number for each of c channels.
        mix: c rows of s weights of the samples, which are in [0, 1]; None if channel number i takes sample number i.
        problem: Why it is not what the preprocessing does, but only turns 0 and 1 into the least and greatest number
            that the preprocessing gives; empty if it is what the preprocessing does.
    """

    mean: Numbers
    std: Numbers
    mix: tuple[Numbers, ...] | None = None
    problem: str = ""

    @property
    def samples(self) -> int:
        """Samples of a picture's pixel."""
        return len(self.mean) if self.mix is None else len(self.mix[0])

    @cached_property
    def _inverse(self) -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
        """float64 (s, c), turns mixed samples back; what no channel shows is 0."""
        return np.linalg.pinv(np.array(self.mix, np.float64)).round(12)

    def forward(self, pictures: Tensor) -> Tensor:
        """Turn pictures into what the network takes.

        Args:
            pictures: float (..., s, h, w), in [0, 1].

        Returns:
            float (..., c, h, w).
        """
        if self.mix is not None:
            pictures = _mixed(pictures, np.array(self.mix, np.float64))
        return (pictures - _column(self.mean, pictures)) / _column(self.std, pictures)

    def inverse(self, images: Tensor) -> Tensor:
        """Turn what the network takes back into pictures.

        Args:
            images: float (..., c, h, w).

        Returns:
            float (..., s, h, w), in [0, 1] for what a picture has become.
        """
        samples = (images * _column(self.std, images)).add_(_column(self.mean, images))
        return samples if self.mix is None else _mixed(samples, self._inverse)

    def bounds(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Least and greatest number of each channel over all pictures.

        Args:
            like: A tensor of the wanted type and device.

        Returns:
            Two times float (c, 1, 1).
        """
        mix = np.eye(len(self.mean)) if self.mix is None else np.array(self.mix, np.float64)
        ends = [mix.clip(max=0).sum(1), mix.clip(min=0).sum(1)]
        first, second = ((_column(end, like) - _column(self.mean, like)) / _column(self.std, like) for end in ends)
        return first.minimum(second), first.maximum(second)

    def in_order(self, values: Values) -> Values:
        """Put numbers for the channels of the input into the order of a picture's samples, such as BGR into RGB.

        Args:
            values: float (c, h, w).

        Returns:
            float (c, h, w); unchanged where channels are no other order of the samples.
        """
        sources = [row.index(1.0) for row in self.mix or () if sorted(row) == [0.0, 0.0, 1.0]]
        is_order = sorted(sources) == [0, 1, 2] and len(values) == len(self.mean) == len(sources)
        return values[np.argsort(sources)] if is_order else values

    def describe(self) -> str:
        """It in words, with 4 digits a number."""
        words = [] if self.mix is None else [f"channels {_mix_words(self.mix)}"]
        return ", ".join([*words, f"mean {_number_words(self.mean)}", f"std {_number_words(self.std)}"])


def usual(channels: int) -> Iterator[tuple[str, Normalisation]]:
    """The usual normalisations of so many channels, in the usual orders of colours, each with what it does."""
    for name, mean, std in USUAL.get(channels, ()):
        yield name, Normalisation(mean, std)
    for name, mean, std in USUAL[3] if channels == 3 else ():
        yield f"{name}, in the order blue, green, red", Normalisation(mean[::-1], std[::-1], SWAPPED)


def _column(numbers: object, like: Tensor) -> Tensor:
    return like.new_tensor(numbers).view(-1, 1, 1)


def _mixed(samples: Tensor, weights: "np.ndarray[tuple[int, int], np.dtype[np.float64]]") -> Tensor:
    """Mix channels, (..., s, h, w) by (c, s); sums of products, which no device rounds as it may a matrix product."""
    columns = samples.new_tensor(weights)  # (c, s)
    parts = [samples[..., at : at + 1, :, :] * columns[:, at].view(-1, 1, 1) for at in range(columns.shape[1])]
    total: Tensor = sum(parts[1:], parts[0])
    return total


def _number_words(numbers: Numbers) -> str:
    words = [f"{number:.4g}" for number in numbers]
    return words[0] if len(set(words)) == 1 else f"({', '.join(words)})"


def _mix_words(mix: tuple[Numbers, ...]) -> str:
    """The source of each channel: R, G, B, `-` for none, `grey`, or `mixed`."""
    if len(mix[0]) == 1:
        return "".join("L" if row[0] else "-" for row in mix)
    names: dict[Numbers, str] = {(1.0, 0.0, 0.0): "R", (0.0, 1.0, 0.0): "G", (0.0, 0.0, 1.0): "B", (0.0, 0.0, 0.0): "-"}
    return "".join(names[row] for row in mix) if all(row in names for row in mix) else "mixed"
