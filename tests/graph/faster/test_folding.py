"""Folding: the same values with fewer passes over the maps."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from lurk.graph.faster.folding import folded
from lurk.graph.layers import find_layers
from lurk.graph.partial_forward import partial_forward


class Padded(nn.Module):
    """Paddings of every kind before convolutions with strides, dilations and groups; norms before and after."""

    def __init__(self) -> None:
        super().__init__()
        self.pad = nn.ZeroPad2d((0, 1, 0, 1))
        self.strided = nn.Conv2d(3, 6, 3, stride=2, bias=False)
        self.norm1 = nn.BatchNorm2d(6)
        self.deep = nn.Conv2d(6, 6, 3, groups=6)
        self.norm2 = nn.BatchNorm2d(6, affine=False)
        self.wide = nn.Conv2d(6, 4, 3, dilation=2)
        self.before = nn.BatchNorm2d(4)
        self.same = nn.Conv2d(4, 4, 3, padding="same")
        self.norm3 = nn.BatchNorm2d(4)
        self.twice = nn.Conv2d(4, 4, 1)
        self.norm4 = nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm1(self.strided(self.pad(x))))
        x = torch.relu(self.norm2(self.deep(functional.pad(x, (2, 1, 0, 3)))))
        x = torch.relu(self.wide(functional.pad(x, (1, 2, 0, 0))))  # an odd difference, a dilation of 2
        x = torch.relu(self.norm3(self.same(self.before(x))))
        y = self.twice(x)
        return torch.relu(self.norm4(y)) + y


def made(module: nn.Module):
    generator = torch.Generator().manual_seed(0)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            for value in (part.running_mean, part.running_var, part.weight, part.bias):
                if value is not None:
                    value.data.copy_(torch.rand(value.shape, generator=generator) + 0.5)
    return find_layers(module.eval(), (3, 17, 18))


def images() -> Tensor:
    return torch.randn(2, 3, 17, 18, generator=torch.Generator().manual_seed(1))


def parts(plan) -> list[str]:
    return [str(node.target) for node in plan.graph.nodes if node.op == "call_module"]


def values_and_gradient(plan, name: str) -> tuple[Tensor, Tensor]:
    shown = images().requires_grad_()
    with partial_forward(plan, [name]) as reach:
        value = reach(shown)[name]
        return value.detach(), torch.autograd.grad(value.square().sum(), shown)[0]


def test_values_and_gradients_stay_the_same():
    plan = made(Padded())
    lean = folded(plan)
    assert len(plan.layers) == 5
    for layer in plan.layers:
        for one, other in zip(
            values_and_gradient(plan, layer.name), values_and_gradient(lean, layer.name), strict=True
        ):
            assert torch.allclose(one, other, rtol=1e-4, atol=1e-5), layer.name


def test_paddings_and_norms_are_gone_where_that_is_exact():
    found = parts(folded(made(Padded())))
    assert not {"pad", "strided", "norm1", "deep", "norm2", "before", "norm3", "norm4"} & set(found)
    assert {"wide", "same", "twice"} <= set(found)


def test_a_value_that_is_wanted_is_kept():
    plan = made(Padded())
    conv = next(node.name for node in plan.graph.nodes if node.target == "strided")
    tap = replace(plan.taps[0], node=conv, before=None)
    lean = folded(replace(plan, taps=(tap, *plan.taps[1:])))
    assert conv in {node.name for node in lean.graph.nodes if node.target is torch.conv2d}
    assert not any(node.target is torch.conv2d and node.name == conv for node in folded(plan).graph.nodes)


@pytest.mark.parametrize("part", ["strided", "norm1"])
def test_a_part_with_a_hook_still_runs(part):
    module = Padded()
    plan = made(module)
    calls = []
    module.get_submodule(part).register_forward_hook(lambda *_: calls.append(part))
    name = plan.layers[0].name
    values_and_gradient(folded(plan), name)
    assert calls == [part]


def test_weights_are_read_anew_and_left_alone():
    plan = made(Padded())
    before = {name: value.clone() for name, value in plan.module.state_dict().items()}
    name = plan.layers[0].name
    values_and_gradient(folded(plan), name)
    assert all(torch.equal(value, before[key]) for key, value in plan.module.state_dict().items())
    with torch.no_grad():
        plan.module.strided.weight.mul_(2)
    again = values_and_gradient(folded(plan), name)[0]
    assert torch.allclose(again, values_and_gradient(plan, name)[0], rtol=1e-4, atol=1e-5)


def test_a_part_whose_forward_was_replaced_still_runs():
    module = Padded()
    plan = made(module)
    calls = []
    forward = module.norm1.forward
    module.norm1.forward = lambda x: calls.append(1) or forward(x)
    values_and_gradient(folded(plan), plan.layers[0].name)
    assert calls == [1]


def test_norms_of_another_precision_than_the_network_are_left():
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU()).to(torch.bfloat16)
    module[1].float()
    plan = made(module)
    assert "1" in parts(folded(plan))


def test_in_half_precision_nothing_is_folded():
    plan = made(Padded().bfloat16())
    assert {"norm1", "norm2", "before", "norm3"} <= set(parts(folded(plan)))
