"""A small network and a few images, as the command line names them."""

import numpy as np
import pytest
from PIL import Image

NETWORK = """
import numpy as np
import torch
from torch import nn


def to_tensor(image):
    return torch.from_numpy(np.asarray(image.convert("RGB").resize((8, 8)), np.float32) / 255).permute(2, 0, 1)


def make():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
    net.preprocess = to_tensor
    return net
"""


@pytest.fixture
def arguments(tmp_path):
    (tmp_path / "net.py").write_text(NETWORK)
    generator = np.random.default_rng(0)
    for number in range(12):
        place = tmp_path / "images" / f"class{number % 2}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(place / f"{number}.png")
    (tmp_path / "images" / "class0" / "bad.png").write_bytes(b"no picture")
    paths = ("--model", f"{tmp_path / 'net.py'}:make", "--data", str(tmp_path / "images"))
    return [*paths, "--cache", str(tmp_path / "cache")]
