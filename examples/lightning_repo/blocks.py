"""The block that the network is made of."""

import torch
from torch import nn


class Block(nn.Module):
    """A convolution, its normalisation and its activation."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(after)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Half the height and width, float (n, after, h / 2, w / 2)."""
        return self.norm(self.conv(x)).relu()
