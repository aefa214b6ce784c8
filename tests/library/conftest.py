from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import lurk


class Net(nn.Module):
    """A convolution behind a rectifier, whose last unit is never active, and scores of three classes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.fc = nn.Linear(4, 3)
        with torch.no_grad():
            self.conv.bias[3] = -100

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.conv(x).relu().mean((2, 3)))


def to_tensor(image: Image.Image) -> torch.Tensor:
    samples = np.asarray(image.convert("RGB").resize((16, 16)), np.float32) / 255
    return torch.from_numpy(samples).permute(2, 0, 1)


@pytest.fixture(scope="session")
def model() -> lurk.Model:
    torch.manual_seed(0)
    return lurk.load_model(Net(), preprocess=to_tensor, name="net")


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    """12 random pictures in three classes, and a file that is none."""
    root, generator = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for number in range(12):
        place = root / f"class{number % 3}"
        place.mkdir(exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (20, 20, 3), dtype=np.uint8)).save(place / f"{number:02}.png")
    (root / "class0" / "broken.png").write_bytes(b"no picture")
    return root


@pytest.fixture(scope="session")
def index(model, folder, tmp_path_factory) -> lurk.Index:
    return lurk.sweep(model, folder, cache=tmp_path_factory.mktemp("cache"), top=5)
