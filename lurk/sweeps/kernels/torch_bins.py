"""Bin numbers counted with the operations of PyTorch."""

import torch
from torch import Tensor

from lurk.storage.quantile_bins import BINS, SIDE


def count(numbers: Tensor, counts: Tensor, top: Tensor) -> None:
    """Count in windows that reach as far as each unit's highest number; what falls below a window counts as 0.

    Args:
        numbers: int16 (n, c, s), as `bin_numbers` gives them.
        counts: int32 (c, BINS), changed in place.
        top: int32 (c,), the end of each unit's window, changed in place.
    """
    rows = numbers.transpose(0, 1).flatten(1).int()
    widen(counts, top, torch.maximum(top, rows.abs().amax(1)))
    place = rows.sign() * (rows.abs() - (top - SIDE)[:, None]).clamp(min=0) + SIDE
    place += torch.arange(len(top), dtype=torch.int32, device=top.device)[:, None] * BINS
    counts += torch.bincount(place.reshape(-1), minlength=counts.numel()).view(counts.shape)


def widen(counts: Tensor, top: Tensor, highest: Tensor) -> None:
    """Move windows up to new ends; counts that fall out at the lower end are counted as 0.

    Args:
        counts: integers (c, BINS), changed in place.
        top: int32 (c,), the end of each window, changed in place.
        highest: int32 (c,), the new ends, none of which is lower.
    """
    grown = torch.nonzero(highest > top).squeeze(1)
    if len(grown):
        counts[grown] = _slid(counts[grown], (highest - top)[grown])
        top.copy_(highest)


def _slid(counts: Tensor, by: Tensor) -> Tensor:
    places = torch.arange(BINS, device=counts.device) - SIDE
    source = torch.where(places > 0, places + by[:, None].clamp(max=SIDE), places - by[:, None].clamp(max=SIDE))
    inside = (source.abs() <= SIDE) & (places != 0)
    moved = torch.where(inside, counts.gather(1, (source + SIDE).clamp(0, BINS - 1)), 0)
    moved[:, SIDE] = counts.sum(1, dtype=torch.int64) - moved.sum(1, dtype=torch.int64)
    return moved
