"""The usual preprocessing of a picture: resize, centre crop, normalise; equal to torchvision's presets in every bit."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lurk.errors import ImagesError
from lurk.models.normalisation import IMAGENET_MEAN, IMAGENET_STD

FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
Transform = Callable[[Image.Image], Tensor]
MAX_RESIZED_PIXELS = 50_000_000


@dataclass(frozen=True)
class Preprocess:
    """Resize the shorter side, crop the centre, scale samples to [0, 1], subtract the mean, divide by the deviation.

    >>> Preprocess()(Image.new("RGB", (640, 480))).shape
    torch.Size([3, 224, 224])

    Args:
        resize: Length of the shorter side after resizing, in pixels; 256 by default.
        crop: (height, width) of the crop in pixels; 224 by 224 by default.
        interpolation: `nearest`, `bilinear`, `bicubic` or `lanczos`; `bilinear` by default.
        mean: Subtracted from samples in [0, 1], one number a channel; ImageNet's by default.
        std: Divided by after that, one number a channel; ImageNet's by default.
        channels: 3 for colour, 1 for grey; 3 by default.
    """

    resize: int = 256
    crop: tuple[int, int] = (224, 224)
    interpolation: str = "bilinear"
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    channels: int = 3

    def __post_init__(self) -> None:
        if self.interpolation not in FILTERS:
            raise ValueError(f"interpolation is one of {', '.join(FILTERS)}, not {self.interpolation!r}")
        if self.channels not in (1, 3):
            raise ValueError(f"channels is 1 or 3, not {self.channels}")
        if len(self.mean) != self.channels or len(self.std) != self.channels:
            raise ValueError(f"mean and std have a number for each of the {self.channels} channels")
        if min(self.resize, *self.crop) < 1 or 0 in self.std:
            raise ValueError("resize, crop and std are above 0")

    def __call__(self, picture: Image.Image) -> Tensor:
        """Preprocess a picture.

        Args:
            picture: The picture, of any size and mode.

        Returns:
            float32 (c, h, w).
        """
        mode, shape = "RGB" if self.channels == 3 else "L", (-1, 1, 1)
        picture = picture if picture.mode == mode else picture.convert(mode)
        samples = np.array(self._cropped(self._resized(picture))).reshape(*self.crop, self.channels)
        tensor = torch.empty(self.channels, *self.crop).copy_(torch.from_numpy(samples).permute(2, 0, 1)).div_(255)
        return tensor.sub_(torch.tensor(self.mean).view(shape)).div_(torch.tensor(self.std).view(shape))

    def _resized(self, picture: Image.Image) -> Image.Image:
        short, long = sorted(picture.size)
        longer = int(self.resize * long / short)
        if longer * self.resize > MAX_RESIZED_PIXELS:
            raise ImagesError(f"is too long and thin: {picture.width}×{picture.height} pixels")
        wide = picture.width > picture.height
        size = (longer, self.resize) if wide else (self.resize, longer)
        return picture if size == picture.size else picture.resize(size, FILTERS[self.interpolation])

    def _cropped(self, picture: Image.Image) -> Image.Image:
        """The centre of a picture, with black around it if it is smaller than the crop."""
        height, width = self.crop
        if picture.width < width or picture.height < height:
            padded = Image.new(picture.mode, (max(picture.width, width), max(picture.height, height)))
            padded.paste(picture, (max(width - picture.width, 0) // 2, max(height - picture.height, 0) // 2))
            picture = padded
        top, left = round((picture.height - height) / 2), round((picture.width - width) / 2)
        return picture.crop((left, top, left + width, top + height))

    def describe(self) -> str:
        """A text that identifies the preprocessing."""
        size = f"{self.crop[0]}x{self.crop[1]}"
        colour = "RGB" if self.channels == 3 else "grey"
        return (
            f"shorter side to {self.resize} ({self.interpolation}), centre crop {size}, {colour} in [0, 1], "
            f"mean {self.mean}, std {self.std}"
        )
