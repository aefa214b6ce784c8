"""Plain words of what a module does."""

import pytest
from torch import nn

import lurk
from lurk.graph.module_words import module_words


class Padded(nn.Conv2d):
    """A convolution of somebody's own."""


def one_number() -> nn.Module:
    """A convolution whose sizes are one number for both axes, as some networks' own code has it."""
    part = nn.Conv2d(4, 8, 3, stride=2)
    part.kernel_size, part.stride, part.dilation = 3, 2, 1
    return part


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (Padded(4, 8, 3, stride=2, groups=4), "3×3 convolution, depthwise, stride 2"),
        (nn.Conv2d(8, 8, (1, 7), groups=2, dilation=(1, 2)), "1×7 convolution, 2 groups, dilation 1×2"),
        (nn.ConvTranspose2d(8, 8, 2, stride=2), "2×2 transposed convolution, stride 2"),
        (nn.Conv1d(8, 8, 5), "convolution of width 5"),
        (nn.Conv2d(1, 8, 3), "3×3 convolution"),
        (nn.Conv3d(2, 4, 3, stride=(2, 1, 2)), "3×3×3 convolution, stride 2×1×2"),
        (one_number(), "3×3 convolution, stride 2"),
        (nn.Linear(3, 4), "fully connected"),
        (nn.LayerNorm(4), ""),
    ],
)
def test_a_module_is_said_in_plain_words(part, words):
    assert module_words(part) == words


def test_the_layers_of_a_network_have_them():
    layers = {layer.name: layer.words for layer in lurk.load_model("resnet18", weights="random").plan().layers}
    assert layers["conv1"] == "7×7 convolution, stride 2"
    assert layers["layer2.0"] == "residual block"
    assert layers["fc"] == "fully connected"
