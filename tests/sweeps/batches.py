"""Batches made by hand."""

import torch
from torch import Tensor

from lurk.sweeps.kernels.maps import bin_numbers
from lurk.sweeps.reducers import Batch

POSITIONS = 4


def make_batch(scores: Tensor, images: Tensor, labels: Tensor | None = None, *, before: Tensor | None = None) -> Batch:
    """A batch whose spatial max is `scores` (n, u); the mean is a third of it, the squares are scores squared."""
    n, units = scores.shape
    before = torch.full((n, units), torch.nan) if before is None else before.float()
    return Batch(
        images=images,
        labels=torch.zeros(n, dtype=torch.int64) if labels is None else labels,
        maximum=scores.float(),
        position=(torch.arange(n * units, dtype=torch.int32) % 7).view(n, units),
        mean=scores.double() / 3,
        squares=scores.double() ** 2,
        before=before,
        before_mean=before / 3,
        lowest=torch.where(before.isnan(), -torch.inf, before - 1),
        positive=(scores > 0).int() * 2,
        bounded=(scores > 1).int(),
        positions=torch.full((units,), POSITIONS, dtype=torch.int64),
        drawn=(bin_numbers(scores.float())[:, :, None],),
    )


def batch_of_positions(activations: Tensor, labels: Tensor) -> Batch:
    """The batch of activations (n, p, u), of images 0, 1, …"""
    precise = activations.double()
    maximum, position = activations.float().max(1)
    mean = precise.mean(1)
    return Batch(
        images=torch.arange(len(activations)),
        labels=labels,
        maximum=maximum,
        position=position.int(),
        mean=mean,
        squares=((precise - mean[:, None]) ** 2).sum(1),
        before=torch.full_like(maximum, torch.nan),
        before_mean=torch.full_like(maximum, torch.nan),
        lowest=activations.float().amin(1),
        positive=(activations > 0).sum(1, dtype=torch.int32),
        bounded=(activations >= 6).sum(1, dtype=torch.int32),
        positions=torch.full(activations.shape[2:], activations.shape[1], dtype=torch.int64),
        drawn=(bin_numbers(activations.float()).transpose(1, 2),),
    )
