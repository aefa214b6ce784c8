"""What an activation function is found to do, against what is known of it on paper."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from lurk.graph.layers import find_layers
from tests.graph.test_activation_taps import OneConv

MONOTONE = {
    # name: (function, rectified, bound, lower bound)
    "relu": (functional.relu, True, None, None),
    "relu in place": (lambda x: x.relu_(), True, None, None),
    "relu6": (functional.relu6, True, 6.0, None),
    "hardtanh": (functional.hardtanh, False, 1.0, -1.0),
    "clamp": (lambda x: x.clamp(0, 2), True, 2.0, None),
    "clamp below": (lambda x: x.clamp(min=-0.5), False, None, None),
    "clamp above": (lambda x: x.clamp(max=0.1), False, 0.1, None),
    "clamp that is never 0": (lambda x: x.clamp(1, 2), False, 2.0, 1.0),
    "hardsigmoid": (functional.hardsigmoid, True, 1.0, None),
    "sigmoid": (torch.sigmoid, False, 1.0, 0.0),
    "tanh": (torch.tanh, False, 1.0, -1.0),
    "leaky": (functional.leaky_relu, False, None, None),
    "elu": (functional.elu, False, None, None),
    "celu": (lambda x: functional.celu(x, 2.0), False, None, None),
    "selu": (functional.selu, False, None, None),
    "softplus": (functional.softplus, False, None, None),
    "softsign": (functional.softsign, False, None, None),
    "logsigmoid": (functional.logsigmoid, False, 0.0, None),
    "threshold": (lambda x: functional.threshold(x, 0.5, 0.0), True, None, None),
    "sign": (torch.sign, False, 1.0, -1.0),
    "rounded": (lambda x: torch.round(x.clamp(0, 3)), True, 3.0, None),
    "hardsigmoid by hand": (lambda x: functional.relu6(x + 3) / 6, True, 1.0, None),
    "hardsigmoid by a clamp": (lambda x: (x / 6 + 0.5).clamp(0, 1), True, 1.0, None),
    "relu cut": (lambda x: functional.relu(x).clamp(max=1), True, 1.0, None),
    "relu cut by hardtanh": (lambda x: functional.hardtanh(functional.relu(x), 0, 3), True, 3.0, None),
    "relu by a mask": (lambda x: x * (x > 0), True, None, None),
    "relu by where": (lambda x: torch.where(x > 0, x, torch.zeros_like(x)), True, None, None),
    "leaky by maximum": (lambda x: torch.maximum(x, 0.2 * x), False, None, None),
    "shifted tanh": (lambda x: torch.tanh(2 * x - 1), False, 1.0, -1.0),
    "module": (nn.ReLU6(inplace=True), True, 6.0, None),
    "rrelu": (nn.RReLU(), False, None, None),
    "prelu": (nn.PReLU(4, 0.3), False, None, None),
    "prelu of one slope": (nn.PReLU(1, 0.0), True, None, None),
    "softsign by hand": (lambda x: x / (1 + x.abs()), False, None, None),
    "relu by maximum": (lambda x: torch.max(x, torch.zeros_like(x)), True, None, None),
}
OTHERS = {
    "silu": functional.silu,
    "gelu": functional.gelu,
    "tanh gelu": lambda x: functional.gelu(x, approximate="tanh"),
    "mish": functional.mish,
    "hardswish": functional.hardswish,
    "hardswish by hand": lambda x: x * functional.relu6(x + 3) / 6,
    "swish by hand": lambda x: x * torch.sigmoid(1.7 * x),
    "softshrink twice": lambda x: functional.softshrink(x) * functional.softshrink(x),
    "falling": lambda x: functional.relu(-x),
    "falling sigmoid": lambda x: torch.sigmoid(-x),
    "threshold that jumps up": lambda x: functional.threshold(x, 0.5, 20.0),
    "absolute value": torch.abs,
    "sine": torch.sin,
    "negative slope": lambda x: functional.leaky_relu(x, -0.1),
}


def prelu(*slopes: float) -> nn.PReLU:
    made = nn.PReLU(len(slopes))
    made.weight.data = torch.tensor(slopes)
    return made


OTHERS["prelu of one negative slope"] = prelu(0.2, 0.1, -0.1, 0.0)


def found(follow):
    plan = find_layers(OneConv(follow).eval(), (3, 8, 8))
    return plan.layers[0], plan.taps[0]


@pytest.mark.parametrize("name", MONOTONE)
def test_a_monotone_function_is_known_with_its_bounds(name):
    follow, rectified, bound, lower = MONOTONE[name]
    layer, tap = found(follow)
    assert tap.before is not None
    assert layer.activation is not None
    assert layer.rectified == rectified
    assert (layer.bound, layer.lower_bound) == (
        None if bound is None else pytest.approx(bound, rel=1e-7),
        lower,
    )


@pytest.mark.parametrize("name", OTHERS)
def test_a_function_that_falls_somewhere_has_nothing_before_it(name):
    layer, tap = found(OTHERS[name])
    assert tap.before is None
    assert layer.activation is not None


def test_a_layer_without_an_activation_function_has_no_name_for_one():
    layer, tap = found(lambda x: x * 2)
    assert (layer.activation, layer.rectified, layer.bound, tap.before) == (None, False, None, None)


@pytest.mark.parametrize(
    ("follow", "name"),
    [
        (nn.LeakyReLU(), "leakyrelu"),
        (functional.leaky_relu, "leakyrelu"),
        (functional.relu6, "relu6"),
        (lambda x: x.relu_(), "relu"),
        (torch.sigmoid, "sigmoid"),
        (lambda x: functional.relu(x).clamp(max=1), "relu, clamp"),
    ],
)
def test_a_function_is_called_as_in_torch(follow, name):
    assert found(follow)[0].activation == name


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_type_of_the_network_does_not_matter(dtype):
    layer = find_layers(OneConv(functional.relu6).eval().to(dtype), (3, 8, 8)).layers[0]
    assert (layer.rectified, layer.bound) == (True, 6.0)


class Written(nn.Module):
    """An activation function in a module of its own, with a weight of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.top = nn.Parameter(torch.tensor([1.0, 2.0, 3.0, 4.0]).view(4, 1, 1))

    def forward(self, x):
        return torch.minimum(torch.relu(x), self.top)


def test_bounds_that_differ_between_channels_are_no_one_bound():
    layer, tap = found(Written())
    assert tap.before == "conv"
    assert (layer.rectified, layer.bound) == (True, None)


class Residual(nn.Module):
    """A block that ends in an activation function of its own, which changes its input in place."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act = nn.Conv2d(3, 3, 1), nn.ReLU6(inplace=True)

    def forward(self, x):
        y = self.conv(x)
        y += x
        return self.act(y)


def test_a_block_that_ends_in_its_activation_function_is_known_too():
    plan = find_layers(nn.Sequential(Residual(), nn.Conv2d(3, 2, 1)).eval(), (3, 8, 8))
    (block,) = (at for at, layer in enumerate(plan.layers) if layer.name == "0")
    assert plan.layers[block].rectified
    assert plan.layers[block].bound == 6
    assert plan.taps[block].before is not None


@pytest.mark.parametrize("name", MONOTONE)
def test_a_higher_value_never_gives_a_lower_score_but_for_rounding(name):
    follow = MONOTONE[name][0]
    values = torch.randn(20_000, generator=torch.Generator().manual_seed(0)).mul(8).sort().values
    if isinstance(follow, nn.Module):
        follow = follow.eval()
    with torch.no_grad():
        scores = follow(values.view(1, 1, -1).expand(1, 4, -1).contiguous())[0].double()
    fall = (scores[:, :-1] - scores[:, 1:]) / scores[:, 1:].abs().clamp(min=math.ulp(0.0))
    assert float(fall.max()) <= 4 * torch.finfo(torch.float32).eps


CUTS = {
    "relu": (0.0, math.inf),
    "relu in place": (0.0, math.inf),
    "relu6": (0.0, 6.0),
    "hardtanh": (-1.0, 1.0),
    "clamp": (0.0, 2.0),
    "clamp below": (-0.5, math.inf),
    "clamp above": (-math.inf, pytest.approx(0.1)),
    "clamp that is never 0": (1.0, 2.0),
    "rounded": (0.0, 3.0),  # the layer's value is that before it is rounded
    "relu cut": (0.0, 1.0),
    "relu cut by hardtanh": (0.0, 3.0),
    "module": (0.0, 6.0),
    "relu by maximum": (0.0, math.inf),
}


@pytest.mark.parametrize("name", [*MONOTONE, *OTHERS])
def test_a_function_that_only_cuts_values_off_is_known_with_what_it_cuts_them_off_at(name):
    follow = MONOTONE[name][0] if name in MONOTONE else OTHERS[name]
    assert found(follow)[1].cut == CUTS.get(name)


@pytest.mark.parametrize(
    "follow",
    [
        lambda x: functional.threshold(x, 1e-5, 0.0),
        lambda x: torch.where(x > 0, x, torch.zeros_like(x)),  # makes 0 of NaN
        lambda x: functional.relu(x) * (1 + 1e-6),
        lambda x: functional.leaky_relu(x, 1e-6),
        lambda x: functional.hardtanh(functional.leaky_relu(x, 1e-3), -1, 1e6),
    ],
)
def test_a_function_that_does_a_little_more_is_not_taken_for_a_cut(follow):
    assert found(follow)[1].cut is None
