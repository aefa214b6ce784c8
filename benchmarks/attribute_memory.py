"""Whether many calls of `lurk.attribute` keep memory flat: python -m benchmarks.attribute_memory --calls 10000.

A small network explains the hits of its own sweep, each read from its file anew, by several methods in turn. The last
line says how much the process grew between a tenth of the calls and the end; the exit status is 1 above the limit.
"""

import argparse
import gc
import re
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

import lurk

METHODS = ("deconvnet", "guided_backprop", "gradient", "gradient_x_input", "lrp", "activation_map")
SIDE, UNITS, LIMIT_MB = 32, 8, 10.0


def network() -> nn.Module:
    """Two convolutions and a linear layer, with weights of seed 0."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, UNITS, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(UNITS, UNITS, 3), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(UNITS, 3),
    )  # fmt: skip


def preprocess(picture: Image.Image) -> torch.Tensor:
    """A picture as float32 (3, 32, 32) in [0, 1]."""
    samples = np.asarray(picture.convert("RGB").resize((SIDE, SIDE)), np.float32) / 255
    return torch.from_numpy(samples).permute(2, 0, 1)


def resident_mb() -> float:
    """Memory of this process that is in use, in MB."""
    gc.collect()
    return int(re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text()).group(1)) / 1024


def run(calls: int) -> float:
    """Explain so many hits, and print the memory ten times on the way; returns by how many MB it grew."""
    with tempfile.TemporaryDirectory() as folder:
        images, generator = Path(folder) / "images", np.random.default_rng(0)
        for number in range(30):
            (images / str(number % 3)).mkdir(parents=True, exist_ok=True)
            pixels = generator.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(images / str(number % 3) / f"{number}.png")
        model = lurk.load_model(network(), preprocess=preprocess)
        index = lurk.sweep(model, images, cache=Path(folder) / "cache")
        hits = [
            (layer, unit, hit)
            for layer in ("0", "3")
            for unit in range(UNITS)
            for hit in index.unit(layer, unit).hits_max
        ]
        began, sizes = time.monotonic(), []
        for number in range(1, calls + 1):
            layer, unit, hit = hits[number % len(hits)]
            lurk.attribute(model, hit, layer, unit, method=METHODS[number % len(METHODS)], device="cpu")
            if number % max(calls // 10, 1) == 0:
                sizes.append(resident_mb())
                each_ms = (time.monotonic() - began) / number * 1000
                print(f"{number:>7,} calls  {sizes[-1]:7.1f} MB  {each_ms:5.1f} ms a call", flush=True)
    return sizes[-1] - sizes[0]


def main() -> int:
    """Run, and say how much the process grew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=10_000)
    grown = run(parser.parse_args().calls)
    print(f"grew by {grown:+.1f} MB (limit {LIMIT_MB:g})")
    return int(grown > LIMIT_MB)


if __name__ == "__main__":
    raise SystemExit(main())
