"""The network, and `make`, which `--model examples/lightning_repo/net.py:make` calls."""

import numpy as np
import torch
from PIL import Image
from torch import nn

from .blocks import Block

SIDE = 32
CLASSES = ("horizontal stripes", "vertical stripes", "dots")


class Net(nn.Module):
    """Three blocks and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(Block(3, 8), Block(8, 16), Block(16, 32))
        self.head = nn.Linear(32, len(CLASSES))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores of the classes, float (n, 3)."""
        return self.head(self.blocks(x).mean((2, 3)))


def preprocess(picture: Image.Image) -> torch.Tensor:
    """A picture as float32 (3, 32, 32), in [-1, 1]."""
    samples = np.asarray(picture.convert("RGB").resize((SIDE, SIDE)), np.float32) / 255
    return torch.from_numpy(samples).permute(2, 0, 1) * 2 - 1


def make() -> tuple[nn.Module, object, tuple[str, ...]]:
    """The network with its preprocessing and its class names."""
    return Net(), preprocess, CLASSES
