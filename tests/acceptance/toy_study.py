"""A small network and a few images, as the options of a command name them."""

from pathlib import Path

import numpy as np
from PIL import Image

NETWORK = """
import time

import numpy as np
import torch
from torch import nn


def to_tensor(image):
    time.sleep(PAUSE_S)
    return torch.from_numpy(np.asarray(image.convert("RGB").resize((32, 32)), np.float32) / 255).permute(2, 0, 1)


def make():
    torch.manual_seed(0)
    first, second = nn.Conv2d(3, 24, 5, stride=2), nn.Conv2d(24, 32, 3)
    net = nn.Sequential(first, nn.ReLU(), second, nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))
    net.preprocess = to_tensor
    return net
"""


def toy_study(folder: Path, images: int = 12, pause_s: float = 0.0) -> tuple[str, ...]:
    """Write a network of the layers `0`, `2` and `6`, and random images of three classes below a folder.

    Args:
        folder: Where to.
        images: How many images.
        pause_s: Seconds that each image takes to be read, so that there is a midst of a sweep.

    Returns:
        The options that name them: batches of four images, read one after the other.
    """
    (folder / "net.py").write_text(NETWORK.replace("PAUSE_S", str(pause_s)))
    generator = np.random.default_rng(0)
    for number in range(images):
        place = folder / "images" / f"class{number % 3}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(place / f"{number}.png")
    paths = ("--model", f"{folder / 'net.py'}:make", "--data", str(folder / "images"))
    return (*paths, "--batch-size", "4", "--workers", "1")
