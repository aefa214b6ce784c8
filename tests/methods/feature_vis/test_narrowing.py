"""Narrowing: the channels that are asked for, and no others."""

import pytest
import torch
from torch import nn

from lurk.graph.faster.folding import folded
from lurk.graph.layers import find_layers
from lurk.graph.partial_forward import partial_forward
from lurk.methods.feature_vis.narrowing import narrowed
from tests.methods.networks import Functional, Plain, Residual

UNITS = (4, 1, 4)


class Separable(nn.Sequential):
    """A depthwise convolution between two of all channels, as in MobileNet."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, 6, 1, bias=False),
            nn.BatchNorm2d(6),
            nn.ReLU6(inplace=True),
            nn.Conv2d(6, 6, 3, padding=1, groups=6, bias=False),
            nn.BatchNorm2d(6),
            nn.Hardswish(),
            nn.Conv2d(6, 6, 3, groups=2),
            nn.SiLU(),
        )


def planned(kind):
    torch.manual_seed(0)
    return find_layers(kind().eval(), (3, 32, 32))


def activations(plan, layer, images):
    with partial_forward(plan, [layer]) as reach, torch.no_grad():
        reached = reach(images)
        return reached, reached[layer], reached.before(layer), reached.raised(layer)


@pytest.mark.parametrize("kind", [Plain, Functional, Residual, Separable])
def test_what_is_left_is_as_it_was(kind):
    plan, images = planned(kind), torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    for info in plan.layers:
        units = tuple(unit for unit in UNITS if unit < info.units)
        lean = narrowed(folded(plan), info.name, units)
        _, *whole = activations(plan, info.name, images)
        reached, *some = activations(lean, info.name, images)
        held = list(dict.fromkeys(units)) if lean.taps[0].units else range(info.units)
        assert reached.places(info.name, units) == tuple(list(held).index(unit) for unit in units)
        for one, other in zip(whole, some, strict=True):
            assert torch.allclose(one[:, list(held)], other, rtol=1e-4, atol=1e-5), info.name


def test_a_depthwise_convolution_and_what_leads_to_it_are_narrowed():
    plan = planned(Separable)
    lean = narrowed(folded(plan), "3", UNITS)
    weights = [lean.constants[node.target] for node in lean.graph.nodes if node.op == "get_attr" and node.users]
    assert sorted(tuple(weight.shape) for weight in weights if weight.dim() == 4) == [(2, 1, 3, 3), (2, 3, 1, 1)]


def test_a_grouped_convolution_is_not():
    plan = planned(Separable)
    lean = narrowed(plan, "6", UNITS)
    assert any(node.target == "6" for node in lean.graph.nodes)
    assert lean.taps[0].units == (4, 1)


def test_a_unit_that_the_layer_lacks_is_left_for_the_objective_to_refuse():
    plan = planned(Plain)
    assert narrowed(plan, plan.layers[0].name, (0, 99)) is plan
    assert narrowed(plan, plan.layers[0].name, (-1,)) is plan


def test_a_layer_after_which_positions_are_gone_is_left_whole():
    plan = planned(Plain)
    assert narrowed(plan, plan.layers[-1].name, (0,)) is plan
