"""Lists of the images that excite units most, and the keys that put them in order: by score, then by what was before.

Axes: u units, k hits.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

EMPTY = torch.iinfo(torch.int64).min
_LOW_BITS = 0xFFFFFFFF


def rank_keys(scores: Tensor, before: Tensor) -> Tensor:
    """Encode scores and what they were before as integers: a larger key is a higher score or, at equal scores, value.

    Args:
        scores: float32, without NaN.
        before: float32 of the same shape; NaN throughout a unit that has no such value.

    Returns:
        int64 of the same shape, above `EMPTY`.
    """
    return (_ordered(scores) << 32) | (_ordered(before) + (1 << 31))


def _ordered(numbers: Tensor) -> Tensor:
    """Integers of 32 bits, as int64, in the order of float32 numbers."""
    bits = (numbers + 0.0).contiguous().view(torch.int32)
    return (bits ^ ((bits >> 31) & 0x7FFFFFFF)).to(torch.int64)


def key_scores(keys: Tensor) -> Tensor:
    """Scores of rank keys, float32, NaN where the list is empty."""
    return _numbers(keys, keys >> 32)


def key_before(keys: Tensor) -> Tensor:
    """Values before the activation function of rank keys, float32, NaN where there is none or the list is empty."""
    return _numbers(keys, (keys & _LOW_BITS) - (1 << 31))


def _numbers(keys: Tensor, ordered: Tensor) -> Tensor:
    bits = ordered.to(torch.int32)
    return torch.where(keys == EMPTY, torch.nan, (bits ^ ((bits >> 31) & 0x7FFFFFFF)).view(torch.float32))


@dataclass(frozen=True)
class Hits:
    """Hits of some units, all of one shape, best first.

    Args:
        keys: int64, of `rank_keys`; `EMPTY` for an empty place.
        image: int64, -1 for an empty place.
        position: int32.
    """

    keys: Tensor
    image: Tensor
    position: Tensor

    @classmethod
    def none(cls, units: int, k: int) -> "Hits":
        """Empty lists."""
        keys = torch.full((units, k), EMPTY, dtype=torch.int64)
        return cls(keys, torch.full_like(keys, -1), torch.zeros((units, k), dtype=torch.int32))
