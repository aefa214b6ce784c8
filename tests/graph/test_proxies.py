import builtins

import pytest
import torch
from torch import Tensor, nn

from lurk.graph.layers import find_layers
from tests.methods.networks import image_of, seeded


class Doubled(torch.autograd.Function):
    """Passes the image on, and twice its gradient."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return x * 1

    @staticmethod
    def backward(ctx, signal: Tensor) -> Tensor:
        return 2 * signal


class Asking(nn.Module):
    """Asks whether it was given a tensor, as many networks do."""

    def forward(self, x: Tensor) -> Tensor:
        if not isinstance(x, Tensor):
            raise TypeError("no tensor")
        return x + 1 if torch.is_tensor(x) and isinstance(x, (list, torch.Tensor)) else x


class Doing(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.one, self.two, self.function = nn.Conv2d(1, 3, 1), nn.Conv2d(3, 2, 1), function

    def forward(self, x: Tensor) -> Tensor:
        return self.two(self.function(self.one(x)))


SPELLINGS = {
    "a function of a tensor and a number": lambda x: torch.pow(x, 3),
    "a function of a number and a tensor": lambda x: torch.pow(2, x),
    "a choice of a tensor and a number": lambda x: torch.where(x > 0, x, 0.0),
    "an apply that was looked up before": Doubled.apply,
    "an apply that is looked up now": lambda x: Doubled.apply(x, *()),
    "a question": Asking(),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_torchs_own_code_is_not_deceived_by_a_stand_in(spelling):
    made = find_layers(seeded(lambda: Doing(SPELLINGS[spelling])), (1, 4, 4))
    assert made.graph is not None
    assert [layer.name for layer in made.layers] == ["one", "two"]


def test_nothing_stays_of_what_stood_in_during_a_trace():
    before = (builtins.isinstance, torch.autograd.Function.__dict__["apply"], Doubled.__dict__["forward"])
    find_layers(seeded(lambda: Doing(Doubled.apply)), (1, 4, 4))
    assert (builtins.isinstance, torch.autograd.Function.__dict__["apply"], Doubled.__dict__["forward"]) == before


@pytest.mark.parametrize("spelling", ["an apply that was looked up before", "an apply that is looked up now"])
def test_the_graph_keeps_the_derivative_of_a_custom_function(spelling):
    from lurk.methods.attribution.backsignal import sent_back
    from lurk.methods.attribution.target import Target

    module, image = seeded(lambda: Doing(SPELLINGS[spelling])), image_of(1, 1, 4, 4)
    batch = image.clone().requires_grad_()
    (expected,) = torch.autograd.grad(module(batch)[:, 1].sum(), batch)
    torch.testing.assert_close(sent_back(find_layers(module, (1, 4, 4)), Target("two", 1, "map"), image), expected)
