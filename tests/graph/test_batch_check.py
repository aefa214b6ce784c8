import pytest
import torch
from torch import nn
from torch.nn import functional

from lurk.errors import LayerError
from lurk.graph.batch_check import random_part
from lurk.graph.layers import find_layers


class Dropping(nn.Module):
    """Forgets to say whether it is in training, as many networks do."""

    def forward(self, x):
        return functional.dropout(x, 0.5)


class Net(nn.Module):
    """A random part between two convolutions; or one that mixes the images of a batch."""

    def __init__(self, middle: nn.Module | None, mixes: bool = False) -> None:
        super().__init__()
        self.one, self.middle, self.two, self.mixes = (
            nn.Conv2d(3, 4, 3),
            middle or nn.Identity(),
            nn.Conv2d(4, 2, 3),
            mixes,
        )

    def forward(self, x):
        x = self.middle(self.one(x))
        return self.two(x - x.mean(0, keepdim=True) if self.mixes else x).mean((2, 3))


def test_the_first_random_part_is_named():
    assert random_part(Net(Dropping()).eval(), torch.rand(3, 3, 8, 8)) == "middle"
    assert random_part(Net(None).eval(), torch.rand(3, 3, 8, 8)) == ""
    assert random_part(nn.Sequential(nn.Conv2d(3, 2, 1), nn.Dropout()).eval(), torch.rand(3, 3, 8, 8)) == ""


def test_layers_behind_a_random_part_are_left_out_for_that_reason():
    plan = find_layers(Net(Dropping()), (3, 8, 8))
    assert [layer.name for layer in plan.layers] == ["one"]
    assert (plan.left_out, plan.random) == (("two",), "middle")


def test_layers_that_mix_images_are_not_called_random():
    plan = find_layers(Net(None, mixes=True), (3, 8, 8))
    assert (plan.left_out, plan.random) == (("two",), "")


def test_a_network_that_is_random_throughout_is_refused_by_name():
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 3)

        def forward(self, x):
            return self.conv(x + torch.randn_like(x)).mean((2, 3))

    with pytest.raises(LayerError, match="answers differently each time, from conv on"):
        find_layers(Noisy(), (3, 8, 8))
