"""How a picture is parameterized while it is drawn: what ascent changes, and the picture that this stands for.

Axes: f pictures, c channels, h w pixels. Pictures are float32, in [0, 1].
"""

from typing import Protocol

import torch
from torch import Tensor

from lurk.methods.feature_vis.image_spectrum import frequencies

COLOURS = ((0.26, 0.09, 0.02), (0.27, 0.0, -0.05), (0.27, -0.09, 0.03))  # lucid's: root of ImageNet's correlation
CONTRAST = 4.0
EDGE = 0.01


class Parameterization(Protocol):
    """A parameter that stands for pictures."""

    parameter: Tensor

    def pictures(self) -> Tensor:
        """Return the pictures, float32 (f, c, h, w) in [0, 1], with the graph back to the parameter."""

    def write(self, pictures: Tensor) -> None:
        """Set the parameter to that of other pictures."""

    def project(self) -> None:
        """Move the parameter, after a step has changed it, to the nearest one that stands for pictures."""


def add_noise(parameter: Tensor, strength: float, seed: int, repeats: int) -> None:
    """Add noise to a parameter, the same for each unit, so that no picture depends on those beside it.

    Args:
        parameter: float32 (f, ...).
        strength: Standard deviation of the noise.
        seed: Seed of the noise.
        repeats: Pictures for each unit, one after the other, each with noise of its own.
    """
    chance = torch.Generator().manual_seed(seed)
    shape = (repeats, *parameter.shape[1:])
    noise = torch.randn(shape, generator=chance).to(parameter.device) * strength
    with torch.no_grad():
        parameter += noise.repeat(len(parameter) // repeats, *[1] * (len(shape) - 1))


def picture_size(input_size: tuple[int, int], size: int) -> tuple[int, int]:
    """Work out the height and width of a picture.

    Args:
        input_size: (height, width) that the network takes, in pixels.
        size: The picture's shorter side in pixels, 0 for the network's own.

    Returns:
        (height, width) in pixels, in the same proportion.
    """
    if not size:
        return input_size
    shorter = min(input_size)
    return max(1, round(input_size[0] * size / shorter)), max(1, round(input_size[1] * size / shorter))


class Pixels:
    """The pictures' pixels themselves, clamped to [0, 1] after each step.

    Args:
        start: float32 (f, c, h, w), in [0, 1].
    """

    def __init__(self, start: Tensor) -> None:
        self.parameter = start.detach().clone().float().clamp_(0, 1).requires_grad_()

    def pictures(self) -> Tensor:
        """Return the pictures."""
        return self.parameter * 1

    def write(self, pictures: Tensor) -> None:
        """Set the parameter to that of other pictures."""
        with torch.no_grad():
            self.parameter.copy_(pictures)

    def project(self) -> None:
        """Clamp the pixels to [0, 1]."""
        with torch.no_grad():
            self.parameter.clamp_(0, 1)


class Fourier:
    """Waves that add up to the pictures; each is weighted by its wavelength, and colours are mixed to be independent.

    A step then changes large forms as easily as fine ones, which keeps the pictures free of fine noise.

    Args:
        start: float32 (f, c, h, w), in [0, 1]; a picture of plain 0.5 is a parameter of zeros.
        decay: Weight of a wave is its wavelength to this power.
    """

    def __init__(self, start: Tensor, decay: float = 1.0) -> None:
        channels, height, width = start.shape[1:]
        self._size = (height, width)
        longest = max(height, width)
        scale = frequencies(height, width).clamp(min=1 / longest) ** -decay
        self._scale = scale.to(start.device)
        self._mix = _colours(start) if channels == 3 else None
        self.parameter = self._waves(start).requires_grad_()

    def pictures(self) -> Tensor:
        """Return the pictures."""
        waves = torch.view_as_complex(self.parameter) * self._scale
        values = torch.fft.irfft2(waves, s=self._size, norm="ortho") / CONTRAST
        return mix_channels(values, self._mix).sigmoid()

    def write(self, pictures: Tensor) -> None:
        """Set the parameter to that of other pictures."""
        with torch.no_grad():
            self.parameter.copy_(self._waves(pictures))

    def project(self) -> None:
        """Leave the parameter: any one stands for pictures."""

    def _waves(self, pictures: Tensor) -> Tensor:
        with torch.no_grad():
            values = torch.logit(pictures.float(), eps=EDGE)
            values = mix_channels(values, None if self._mix is None else torch.linalg.inv(self._mix))
            waves = torch.fft.rfft2(values * CONTRAST, norm="ortho") / self._scale
            return torch.view_as_real(waves).contiguous()


class Phases:
    """Waves of a fixed magnitude whose phases alone are free: MACO's parameter.

    Args:
        magnitude: float32 (c, h, w // 2 + 1), of waves of the values before the sigmoid, colours apart.
        mix: float32 (c, c), makes colours of them.
        centre: float32 (c,), added to the colours.
        size: (height, width) of the pictures in pixels.
        start: float32 (f, c, h, w // 2 + 1), the phases to begin with.
    """

    def __init__(self, magnitude: Tensor, mix: Tensor, centre: Tensor, size: tuple[int, int], start: Tensor) -> None:
        self._magnitude, self._mix, self._centre, self._size = magnitude, mix, centre.view(-1, 1, 1), size
        self.parameter = start.detach().clone().requires_grad_()

    def pictures(self) -> Tensor:
        """Return the pictures."""
        phases = self.parameter - self.parameter.mean((1, 2, 3), keepdim=True)
        phases = phases / (phases.std((1, 2, 3), keepdim=True) + 1e-5)
        values = torch.fft.irfft2(torch.polar(self._magnitude.expand_as(phases), phases), s=self._size, norm="ortho")
        values = values - values.mean((2, 3), keepdim=True)
        return (mix_channels(values, self._mix) + self._centre).sigmoid()

    def write(self, pictures: Tensor) -> None:
        """Take the phases of other pictures and leave out their magnitudes."""
        with torch.no_grad():
            values = torch.logit(pictures.float(), eps=EDGE) - self._centre
            self.parameter.copy_(
                torch.fft.rfft2(mix_channels(values, torch.linalg.inv(self._mix)), norm="ortho").angle()
            )

    def project(self) -> None:
        """Leave the parameter: any one stands for pictures."""


def mix_channels(values: Tensor, mix: Tensor | None) -> Tensor:
    """Mix channels.

    Args:
        values: float (f, c, h, w).
        mix: float (c, c), channels out by channels in; None leaves them.

    Returns:
        float (f, c, h, w).
    """
    if mix is None:
        return values
    found: Tensor = torch.einsum("dc,fchw->fdhw", mix, values)
    return found


def _colours(like: Tensor) -> Tensor:
    root = torch.tensor(COLOURS, dtype=torch.float32)
    longest: Tensor = root.norm(dim=0).max()
    return (root / longest).to(like.device)
