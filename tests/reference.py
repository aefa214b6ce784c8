"""Slow references that share no code with the project: hand-written forward passes, float64, full sorts."""

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

PHOTOS = Path(__file__).resolve().parents[2] / "shared" / "data" / "photos"

Activations = Iterator[tuple[str, Tensor]]


def resnet18(module: nn.Module, x: Tensor) -> Activations:
    """Name and activation of every default layer of torchvision's resnet18."""
    m = module
    x = functional.relu(m.bn1(m.conv1(x)))
    yield "conv1", x
    x = functional.max_pool2d(x, 3, 2, 1)
    for stage in ("layer1", "layer2", "layer3", "layer4"):
        for number, block in enumerate(getattr(m, stage)):
            name = f"{stage}.{number}"
            hidden = functional.relu(block.bn1(block.conv1(x)))
            yield f"{name}.conv1", hidden
            out = block.bn2(block.conv2(hidden))
            yield f"{name}.conv2", out
            if block.downsample is not None:
                x = block.downsample[1](block.downsample[0](x))
                yield f"{name}.downsample.0", x
            x = functional.relu(out + x)
            yield name, x
    yield "fc", m.fc(x.mean((2, 3)))


def vgg16(module: nn.Module, x: Tensor) -> Activations:
    """Name and activation of every default layer of torchvision's vgg16."""
    for number, layer in enumerate(module.features):
        if isinstance(layer, nn.Conv2d):
            x = functional.relu(functional.conv2d(x, layer.weight, layer.bias, padding=1))
            yield f"features.{number}", x
        elif isinstance(layer, nn.MaxPool2d):
            x = functional.max_pool2d(x, 2)
    x = x.flatten(1)
    for number in (0, 3, 6):
        layer = module.classifier[number]
        x = functional.linear(x, layer.weight, layer.bias)
        if number < 6:
            x = functional.relu(x)
        yield f"classifier.{number}", x


def efficientnet_lite0(module: nn.Module, x: Tensor) -> Activations:
    """Name and activation of every default layer of the bundled EfficientNet-Lite0."""
    m = module
    x = functional.relu6(m._bn0(m._conv_stem(x)))
    yield "_conv_stem", x
    for number, block in enumerate(m._blocks):
        name, before = f"_blocks.{number}", x
        if hasattr(block, "_expand_conv"):
            x = functional.relu6(block._bn0(block._expand_conv(x)))
            yield f"{name}._expand_conv", x
        x = functional.relu6(block._bn1(block._depthwise_conv(x)))
        yield f"{name}._depthwise_conv", x
        x = block._bn2(block._project_conv(x))
        yield f"{name}._project_conv", x
        if x.shape == before.shape:
            x = x + before
            yield name, x
    x = functional.relu6(m._bn1(m._conv_head(x)))
    yield "_conv_head", x
    yield "_fc", m._fc(x.mean((2, 3)))


class Scores:
    """Every image's spatial max and mean for every unit of every layer, in float64, and where the max is."""

    def __init__(self) -> None:
        self.maximum: dict[str, list[Tensor]] = {}
        self.mean: dict[str, list[Tensor]] = {}

    def run(self, forward: Callable[[nn.Module, Tensor], Activations], module: nn.Module, x: Tensor) -> None:
        """Run one batch; floating point (n, c, h, w), of the type of the module."""
        with torch.no_grad():
            for name, activation in forward(module, x):
                flat = activation.double().flatten(2) if activation.dim() > 2 else activation.double()[:, :, None]
                self.maximum.setdefault(name, []).append(flat.max(2).values)
                self.mean.setdefault(name, []).append(flat.mean(2))


def joined(parts: list[Tensor]) -> Tensor:
    """float64 (images, units)."""
    return torch.cat(parts)
