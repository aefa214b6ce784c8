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


class Relative(nn.Module):
    """Gives scores less their mean over the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 5)

    def forward(self, x):
        scores = self.head(functional.relu(self.conv(x)).mean((2, 3)))
        return scores - scores.mean(0)


@pytest.mark.parametrize("middle", ["the scores", "a normalisation"])
def test_class_scores_that_depend_on_the_other_images_are_refused(middle):
    scored = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False), nn.ReLU(), nn.Conv2d(4, 5, 6), nn.Flatten()
    )
    module = Relative() if middle == "the scores" else scored
    x = torch.randn(3, 3, 8, 8)
    assert not torch.allclose(module.eval()(x)[:1], module(x[:1]), atol=1e-3)
    plan = find_layers(module, (3, 8, 8))
    assert plan.scores.missing == "the model's scores for an image depend on the other images of its batch"
    assert [layer.name for layer in plan.layers if layer.class_scores] == []


def test_class_scores_behind_a_random_part_are_refused_for_that_reason():
    scores = find_layers(nn.Sequential(Net(Dropping()), nn.Flatten()), (3, 8, 8)).scores
    assert scores.missing == "the model answers differently each time, from 0.middle on: make it repeat itself"


class Rounding(nn.Module):
    """Rounds otherwise in a batch than alone, as kernels of low precision do; off by 1.6 %, two steps of bfloat16."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 3)

    def forward(self, x):
        return self.two(self.one(x) * (1 if len(x) == 1 else 1 + 2 * torch.finfo(torch.bfloat16).eps))


@pytest.mark.parametrize(("dtype", "left_out"), [(torch.bfloat16, ()), (torch.float32, ("two",))])
def test_the_rounding_of_low_precision_is_not_taken_for_a_mixing_of_images(dtype, left_out):
    assert find_layers(Rounding().to(dtype), (3, 8, 8)).left_out == left_out
    assert find_layers(Net(None, mixes=True).to(dtype), (3, 8, 8)).left_out == ("two",)
