"""The spectrum of an image set: the mean magnitude of its waves, and the covariance of its colours."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor

from lurk.errors import ImagesError, LurkError
from lurk.images.image_set import ImageSet
from lurk.models.model import Model

SAMPLE = 200
EDGE = 0.02
KEPT = 4


@dataclass(frozen=True)
class Spectrum:
    """Colours and waves of an image set, measured on the logits of its samples in [0, 1].

    Args:
        magnitude: float32 (c, h, w // 2 + 1), mean magnitude of each wave of the decorrelated colours, in orthonormal
            scale; 0 for the constant wave.
        mix: float32 (c, c), root of the covariance of the colours: turns independent values into colours.
        centre: float32 (c,), the mean colour.
        size: (height, width) that the waves are for, in pixels.
    """

    magnitude: Tensor
    mix: Tensor
    centre: Tensor
    size: tuple[int, int]

    def resized(self, size: tuple[int, int]) -> "Spectrum":
        """Resize the spectrum for pictures of another size; wavelengths in pixels stay as they are.

        Args:
            size: (height, width) in pixels.

        Returns:
            The spectrum for that size.
        """
        if size == self.size:
            return self
        centred = torch.fft.fftshift(self.magnitude, dim=1)[None]
        wanted = (size[0], size[1] // 2 + 1)
        values = F.interpolate(centred, wanted, mode="bilinear", align_corners=True)[0]
        magnitude = torch.fft.ifftshift(values, dim=1)
        magnitude[:, 0, 0] = 0
        return Spectrum(magnitude, self.mix, self.centre, size)


_kept: dict[tuple[str, str], Spectrum] = {}  # takes seconds to measure, is small, and is needed for each picture


def frequencies(height: int, width: int) -> Tensor:
    """Return the frequency of each wave of `rfft2`, float32 (height, width // 2 + 1), in cycles per pixel."""
    return torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)[None])


def natural_spectrum(images: ImageSet, model: Model) -> Spectrum:
    """Measure the spectrum of an image set as a model sees it, from at most 200 images spread evenly over it.

    Args:
        images: The image set.
        model: The model whose preprocessing is used.

    Returns:
        The spectrum, on the CPU, for pictures of the network's input size.

    Raises:
        LurkError: No image of the sample can be read.
    """
    key = (images.fingerprint, model.preprocessing)
    if key not in _kept:
        while len(_kept) >= KEPT:
            del _kept[next(iter(_kept))]
        _kept[key] = spectrum_of(_pictures(images, model))
    return _kept[key]


def spectrum_of(pictures: Tensor) -> Spectrum:
    """Measure the spectrum of pictures.

    Args:
        pictures: float (n, c, h, w), in [0, 1].

    Returns:
        Their spectrum.
    """
    values = torch.logit(pictures.float(), eps=EDGE)
    centre = values.mean((0, 2, 3))
    values = values - centre.view(-1, 1, 1)
    channels = values.shape[1]
    flat = values.transpose(0, 1).reshape(channels, -1)
    strengths, directions = torch.linalg.eigh(flat @ flat.T / flat.shape[1])
    strengths = strengths.clamp(min=1e-6 * strengths.max().clamp(min=1e-6))
    mix = directions * strengths.sqrt()
    apart = torch.einsum("dc,nchw->ndhw", torch.linalg.inv(mix), values)
    magnitude = torch.zeros(channels, values.shape[2], values.shape[3] // 2 + 1)
    for one in apart:
        magnitude += torch.fft.rfft2(one, norm="ortho").abs()
    magnitude /= len(values)
    magnitude[:, 0, 0] = 0
    return Spectrum(magnitude, mix, centre, (values.shape[2], values.shape[3]))


def _pictures(images: ImageSet, model: Model) -> Tensor:
    step = max(1, len(images) / SAMPLE)
    found = []
    for at in range(min(SAMPLE, len(images))):
        try:
            image = images.read(int(at * step))
        except (ImagesError, OSError):
            continue
        found.append(image if isinstance(image, Tensor) else model.preprocess(image))
    if not found:
        raise LurkError(f"no image of {images.name} can be read, so there is no spectrum of them to draw with")
    return model.displayed(torch.stack(found).float())
