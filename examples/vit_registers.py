"""A vision transformer with a class token and four registers: python -m examples.vit_registers [FOLDER].

The network is small and untrained. What is shown is which layers it has: the patches of an image are positions of a
layer, and each further token is a layer of its own, with the same units and one position.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

import lurk

SIDE, PATCH, WIDTH, REGISTERS = 48, 8, 32, 4


class VisionTransformer(nn.Module):
    """Patches, then class token and registers before them, then two blocks; the class token gives the scores."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patches = nn.Conv2d(3, WIDTH, PATCH, PATCH)
        self.class_token = nn.Parameter(torch.randn(1, 1, WIDTH) / 8)
        self.registers = nn.Parameter(torch.randn(1, REGISTERS, WIDTH) / 8)
        self.places = nn.Parameter(torch.randn(1, (SIDE // PATCH) ** 2, WIDTH) / 8)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(WIDTH, 4, 2 * WIDTH, activation="gelu", batch_first=True) for _ in range(2)
        )
        self.head = nn.Linear(WIDTH, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Scores of the classes, float (n, classes), of images, float (n, 3, 48, 48)."""
        tokens = self.patches(images).flatten(2).transpose(1, 2) + self.places
        n = images.shape[0]
        tokens = torch.cat([self.class_token.expand(n, -1, -1), self.registers.expand(n, -1, -1), tokens], 1)
        for block in self.blocks:
            tokens = block(tokens)
        return self.head(tokens[:, 0])


def to_tensor(picture: Image.Image) -> torch.Tensor:
    """A picture as float32 (3, 48, 48), in [-1, 1]."""
    samples = np.asarray(picture.convert("RGB").resize((SIDE, SIDE)), np.float32) / 255
    return torch.from_numpy(samples).permute(2, 0, 1) * 2 - 1


def main(folder: Path) -> lurk.Index:
    """Sweep a part of the built-in images and say what the layers are."""
    model = lurk.load_model(VisionTransformer().eval(), preprocess=to_tensor, name="ViT with registers")
    images = lurk.load_images("demo", sample=2, cache=folder / "cache")
    index = lurk.sweep(model, images, cache=folder / "cache")
    for layer in index.layers:
        rows, cols = layer.grid
        print(f"{layer.name:<30} {layer.units:>4} units, {rows} × {cols} positions")
    return index


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "vit_registers"))
