"""How a picture is shown to the network: resized to its input size, and randomly transformed at each step.

A picture that has to work while it is shifted, scaled and turned cannot rely on fine noise. The transforms are lucid's
(Olah et al., Feature Visualization, 2017): pad, jitter, scale, rotate, jitter, in one resampling. Every picture of a
batch is transformed alike, so that none depends on those beside it.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor

FIRST_JITTER, LAST_JITTER = 8 / 128, 4 / 128
SCALES = tuple(1 + (i - 5) / 50 for i in range(11))
ANGLES = (*range(-10, 11), 0, 0, 0, 0, 0)
GREY = 0.5


@dataclass(frozen=True)
class Transform:
    """One way to show a picture; the shifts are those of the view, in pixels of the picture.

    Args:
        first: (rows, columns) of the shift before the scaling.
        scale: How much larger the picture is shown.
        angle: By how much it is turned, in degrees, anticlockwise.
        last: (rows, columns) of the shift after the turn.
    """

    first: tuple[float, float] = (0.0, 0.0)
    scale: float = 1.0
    angle: float = 0.0
    last: tuple[float, float] = (0.0, 0.0)


def random_transform(generator: torch.Generator, side: int) -> Transform:
    """Draw a random transform.

    Args:
        generator: A generator on the CPU.
        side: The picture's shorter side in pixels; for 128, the first jitter is over 8 pixels and the last over 4.

    Returns:
        The transform.
    """
    a, b, c, d = ((torch.rand(4, generator=generator) - 0.5) * side).tolist()
    scale = SCALES[int(torch.randint(len(SCALES), (1,), generator=generator))]
    angle = ANGLES[int(torch.randint(len(ANGLES), (1,), generator=generator))]
    return Transform((a * FIRST_JITTER, b * FIRST_JITTER), scale, angle, (c * LAST_JITTER, d * LAST_JITTER))


def resize(pictures: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize pictures.

    Args:
        pictures: float (f, c, h, w).
        size: (height, width) in pixels.

    Returns:
        float (f, c, height, width), bilinear, and smoothed if it is smaller.
    """
    if pictures.shape[2:] == size:
        return pictures
    smaller = pictures.shape[2] > size[0] or pictures.shape[3] > size[1]
    return F.interpolate(pictures, size, mode="bilinear", align_corners=False, antialias=smaller)


def transform(pictures: Tensor, how: Transform, size: tuple[int, int]) -> Tensor:
    """Transform pictures, which lie on a grey ground.

    Args:
        pictures: float (f, c, h, w), in [0, 1].
        how: The transform, the same for all pictures.
        size: (height, width) of the views in pixels. A picture that is not transformed fills its view.

    Returns:
        float (f, c, height, width).
    """
    height, width = pictures.shape[2:]
    if height > 1.5 * size[0] or width > 1.5 * size[1]:
        factors = (size[0] / height, size[1] / width)
        pictures = resize(pictures, size)
        first, last = (
            tuple(s * factor for s, factor in zip(shift, factors, strict=True)) for shift in (how.first, how.last)
        )
        how = Transform((first[0], first[1]), how.scale, how.angle, (last[0], last[1]))
        height, width = size
    turn = math.radians(how.angle)
    cos, sin = math.cos(turn) / how.scale, math.sin(turn) / how.scale
    across = cos * how.last[1] - sin * how.last[0] + how.first[1]
    down = sin * how.last[1] + cos * how.last[0] + how.first[0]
    matrix = torch.tensor(
        [[cos, -sin * height / width, 2 * across / width], [sin * width / height, cos, 2 * down / height]],
        dtype=pictures.dtype,
    )
    grid = F.affine_grid(matrix[None], [1, 1, *size], align_corners=False).to(pictures.device)
    grids = grid.expand(len(pictures), -1, -1, -1)
    return F.grid_sample(pictures - GREY, grids, mode="bilinear", padding_mode="zeros", align_corners=False) + GREY


@dataclass
class Views:
    """Shows pictures to the network, step by step.

    Args:
        size: (height, width) that the network takes, in pixels.
        robust: Whether they are transformed at random.
    """

    size: tuple[int, int]
    robust: bool = True

    def __call__(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        """Show pictures: float (f, c, h, w) to float (f, c, height, width), both in [0, 1]."""
        if not self.robust:
            return resize(pictures, self.size)
        return transform(pictures, random_transform(generator, min(pictures.shape[2:])), self.size)
