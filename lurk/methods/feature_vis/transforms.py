"""How a picture is shown to the network: brought to its input size, and at each step a little moved.

A picture that has to hold while it is shifted, scaled and turned cannot rely on fine noise. The moves are lucid's (Olah
et al., Feature Visualization, 2017): pad, jitter, scale, rotate, jitter, in one resampling. Every picture of a batch is
moved alike, so that none depends on those beside it.
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
class Move:
    """One way to show a picture; shifts are what the view moves by, in pixels of the picture.

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


def drawn(generator: torch.Generator, side: int) -> Move:
    """Draw a move.

    Args:
        generator: Where chance comes from, on the CPU.
        side: The picture's shorter side in pixels; for 128, the first jitter is over 8 pixels and the last over 4.

    Returns:
        The move.
    """
    a, b, c, d = ((torch.rand(4, generator=generator) - 0.5) * side).tolist()
    scale = SCALES[int(torch.randint(len(SCALES), (1,), generator=generator))]
    angle = ANGLES[int(torch.randint(len(ANGLES), (1,), generator=generator))]
    return Move((a * FIRST_JITTER, b * FIRST_JITTER), scale, angle, (c * LAST_JITTER, d * LAST_JITTER))


def resized(pictures: Tensor, size: tuple[int, int]) -> Tensor:
    """Bring pictures to a size.

    Args:
        pictures: float (f, c, h, w).
        size: (height, width) in pixels.

    Returns:
        float (f, c, height, width), bilinear, smoothed where it is smaller.
    """
    if pictures.shape[2:] == size:
        return pictures
    smaller = pictures.shape[2] > size[0] or pictures.shape[3] > size[1]
    return F.interpolate(pictures, size, mode="bilinear", align_corners=False, antialias=smaller)


def moved(pictures: Tensor, move: Move, size: tuple[int, int]) -> Tensor:
    """Show pictures moved; round about them all is grey.

    Args:
        pictures: float (f, c, h, w), in [0, 1].
        move: The move, alike for all.
        size: (height, width) of the views in pixels: the picture that is not moved fills a view.

    Returns:
        float (f, c, height, width).
    """
    height, width = pictures.shape[2:]
    if height > 1.5 * size[0] or width > 1.5 * size[1]:
        factors = (size[0] / height, size[1] / width)
        pictures = resized(pictures, size)
        first, last = (
            tuple(s * factor for s, factor in zip(shift, factors, strict=True)) for shift in (move.first, move.last)
        )
        move = Move((first[0], first[1]), move.scale, move.angle, (last[0], last[1]))
        height, width = size
    turn = math.radians(move.angle)
    cos, sin = math.cos(turn) / move.scale, math.sin(turn) / move.scale
    across = cos * move.last[1] - sin * move.last[0] + move.first[1]
    down = sin * move.last[1] + cos * move.last[0] + move.first[0]
    matrix = torch.tensor(
        [[cos, -sin * height / width, 2 * across / width], [sin * width / height, cos, 2 * down / height]],
        dtype=pictures.dtype,
    )
    grid = F.affine_grid(matrix[None], [1, 1, *size], align_corners=False).to(pictures.device)
    grids = grid.expand(len(pictures), -1, -1, -1)
    return F.grid_sample(pictures - GREY, grids, mode="bilinear", padding_mode="zeros", align_corners=False) + GREY


@dataclass
class Views:
    """What the network is shown of pictures, step by step.

    Args:
        size: (height, width) that the network takes, in pixels.
        robust: Whether they are moved.
    """

    size: tuple[int, int]
    robust: bool = True

    def __call__(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        """Show pictures: float (f, c, h, w) to float (f, c, height, width), both in [0, 1]."""
        if not self.robust:
            return resized(pictures, self.size)
        return moved(pictures, drawn(generator, min(pictures.shape[2:])), self.size)
