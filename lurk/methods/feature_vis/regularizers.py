"""Regularizers, which keep a drawn picture from turning into noise, and the four published presets of them.

Yosinski, Clune, Nguyen, Fuchs & Lipson, Understanding neural networks through deep visualization, 2015, arXiv
1506.06579. Their numbers are for samples from 0 to 255 less the mean; here pictures are in [0, 1], so a rate of r in
their units is r / 255² here, and a noise of 10 is 10 / 255.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

THEIR_RANGE = 255.0
Policy = Literal["adam", "nadam", "constant", "progress", "progress01", "normalized"]


@dataclass(frozen=True)
class Regularizers:
    """Yosinski's four rules, in their order; 0 leaves a rule out.

    Args:
        decay: L2 decay: the share of the difference from the mean colour that is taken away at each step.
        blur_width: Gaussian blur: its standard deviation in pixels.
        blur_every: Blur on the first step and on each so-many-th step after it.
        norm_percentile: Small norm: this percentage of the pixels, those nearest to the mean colour, are set to it.
        contribution_percentile: Small contribution: this percentage of the pixels, those whose removal would change
            the objective least by its gradient, are set to the mean colour.
    """

    decay: float = 0.0
    blur_width: float = 0.0
    blur_every: int = 0
    norm_percentile: float = 0.0
    contribution_percentile: float = 0.0

    def apply(self, pictures: Tensor, slope: Tensor, mean: Tensor, step: int) -> Tensor:
        """Apply the rules to pictures.

        Args:
            pictures: float (f, c, h, w), in [0, 1].
            slope: float (f, c, h, w), derivative of the objective with respect to the pictures.
            mean: float (c, 1, 1), the mean colour.
            step: Number of the step, from 0.

        Returns:
            float (f, c, h, w).
        """
        values = pictures - mean
        if self.decay:
            values = values * (1 - self.decay)
        if self.blur_width and self.blur_every and step % self.blur_every == 0:
            values = blur(values, self.blur_width)
        if self.norm_percentile:
            values = _drop_smallest(values, values.norm(dim=1), self.norm_percentile)
        if self.contribution_percentile:
            values = _drop_smallest(values, (-values * slope).sum(1).abs(), self.contribution_percentile)
        return values + mean


@dataclass(frozen=True)
class Preset:
    """A published preset.

    Args:
        regularizers: Its rules.
        steps: Its number of steps.
        policy: Its policy of rates: `constant` or `progress`.
        rate: The constant rate, or the progress wanted at each step, in the published units.
        limit: The largest rate, in the published units; 0 for none.
    """

    regularizers: Regularizers
    steps: int
    policy: Policy
    rate: float
    limit: float = 0.0


PRESETS: Mapping[str, Preset] = {
    "blur_norm": Preset(Regularizers(0, 0.5, 4, 50, 0), 500, "progress", 2.0, 100),
    "decay_norm": Preset(Regularizers(0.3, 0, 0, 20, 0), 750, "constant", 100),
    "blur": Preset(Regularizers(0.0001, 1.0, 4, 0, 0), 1000, "constant", 100),
    "blur_contribution": Preset(Regularizers(0, 0.5, 4, 0, 90), 1000, "progress", 2.0, 1e8),
}


def blur(values: Tensor, width: float) -> Tensor:
    """Blur pictures by a Gaussian, mirrored at the edges.

    Args:
        values: float (f, c, h, w).
        width: Standard deviation in pixels; above 0.

    Returns:
        float (f, c, h, w).
    """
    radius = int(4 * width + 0.5)
    offsets = torch.arange(-radius, radius + 1, device=values.device, dtype=values.dtype)
    kernel = torch.exp(-0.5 * (offsets / width) ** 2)
    kernel = kernel / kernel.sum()
    for dim in (2, 3):
        side = values.shape[dim]
        places = torch.arange(-radius, side + radius, device=values.device) % (2 * side)
        padded = values.index_select(dim, torch.where(places < side, places, 2 * side - 1 - places))
        values = padded.unfold(dim, 2 * radius + 1, 1) @ kernel
    return values


def total_variation(pictures: Tensor) -> Tensor:
    """Return the mean difference between neighbouring pixels, down plus across, float (f,)."""
    down = (pictures[:, :, 1:] - pictures[:, :, :-1]).abs().flatten(1)
    across = (pictures[:, :, :, 1:] - pictures[:, :, :, :-1]).abs().flatten(1)
    return sum((part.mean(1) for part in (down, across) if part.shape[1]), pictures.new_zeros(len(pictures)))


def mean_distance(pictures: Tensor, mean: Tensor) -> Tensor:
    """Return the mean absolute difference from the mean colour (L1), float (f,)."""
    return (pictures - mean).abs().flatten(1).mean(1)


def _drop_smallest(values: Tensor, sizes: Tensor, percentage: float) -> Tensor:
    """Set the pixels whose size (f, h, w) is below its percentile to 0."""
    limits = torch.quantile(sizes.flatten(1), percentage / 100, dim=1)
    return values * (sizes >= limits.view(-1, 1, 1))[:, None]
