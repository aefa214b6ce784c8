import copy
from typing import NamedTuple

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional

from lurk.errors import ModelError
from lurk.graph.layers import find_layers
from lurk.models.architecture import architecture_hash
from lurk.models.programs.scripted import rebuild_scripted
from tests.models.programs.made import (
    SHAPE,
    Branching,
    Small,
    assert_same_values,
    frozen,
    images,
    made,
    scripted,
    traced,
)


class Out(NamedTuple):
    features: Tensor
    logits: Tensor


class Named(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Out:
        x = self.conv(x)
        return Out(x, x.mean((2, 3)))


class Restless(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return functional.dropout(self.conv(x), 0.5)


class Saving(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        torch.save(x, "stolen")
        return self.conv(x)


@pytest.mark.parametrize("program", [scripted, traced])
def test_each_part_gives_what_it_gave_under_its_name(program):
    net = made(Small)
    assert_same_values(net, rebuild_scripted(program(net)), images(3))


@pytest.mark.parametrize("program", [scripted, traced])
def test_the_layers_are_those_of_the_original(program):
    net = made(Small)
    own = find_layers(net, SHAPE)
    assert {"stem.0", "again:2", "block"} <= {layer.name for layer in own.layers}
    assert find_layers(rebuild_scripted(program(net)), SHAPE).layers == own.layers


def test_code_that_decides_and_repeats_runs():
    net = made(Branching)
    module = rebuild_scripted(scripted(net))
    for x in (images(2), images(2, (3, 6, 6))):
        assert_same_values(net, module, x)
        torch.testing.assert_close(module(x)["logits"], net(x)["logits"], rtol=0, atol=0)


def test_a_named_tuple_keeps_its_names():
    net = made(Named)
    found = rebuild_scripted(scripted(net))(images())
    assert torch.equal(found.logits, net(images()).logits)


def test_training_mode_can_be_switched_off():
    net = made(Small)
    module = rebuild_scripted(scripted(net.train()))
    assert module.training
    torch.testing.assert_close(module.eval()(images()), net.eval()(images()), rtol=0, atol=0)


def test_gradients_reach_the_image():
    net, x = made(Small), images().requires_grad_()
    (expected,) = torch.autograd.grad(net(x)[:, 2].sum(), x)
    (found,) = torch.autograd.grad(rebuild_scripted(scripted(net))(x)[:, 2].sum(), x)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_a_copy_computes_the_same_and_shares_nothing():
    module = rebuild_scripted(traced(made(Small)))
    other = copy.deepcopy(module)
    expected = module(images())
    with torch.no_grad():
        next(module.parameters()).zero_()
    assert torch.equal(other(images()), expected)


def test_another_constant_is_another_network():
    class Added(Small):
        def __init__(self, value: float) -> None:
            super().__init__()
            self.value = value

        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x + torch.full((1,), self.value))

    one, two, same = (rebuild_scripted(traced(made(Added, value))) for value in (1.0, 2.0, 1.0))
    assert architecture_hash(one) == architecture_hash(same) != architecture_hash(two)


def test_what_was_traced_in_training_mode_is_refused():
    with pytest.raises(ModelError, match=r"^batch_norm is fixed in training mode in it: call eval\(\)"):
        rebuild_scripted(traced(made(Small).train()))
    with pytest.raises(ModelError, match=r"^dropout is fixed in training mode"):
        rebuild_scripted(scripted(made(Restless)))


def test_a_program_that_writes_files_is_refused():
    with pytest.raises(ModelError, match=r"^it runs the operator aten::save, which is not run here; give the Python"):
        rebuild_scripted(scripted(made(Saving)))


def test_a_frozen_module_is_refused():
    with pytest.raises(ModelError, match=r"without parts, as torch\.jit\.freeze leaves it"):
        rebuild_scripted(frozen(made(Small)))


@pytest.mark.slow
@pytest.mark.parametrize("program", [scripted, traced])
@pytest.mark.parametrize("name", ["resnet18", "swin", "vit", "mobilenet_v3_small"])
def test_networks_of_torchvision_give_what_they_gave(name, program):
    models = torchvision.models
    special = {
        "swin": lambda: models.SwinTransformer([4, 4], 24, [1, 2], [2, 2], [7, 7], num_classes=5),
        "vit": lambda: models.VisionTransformer(32, 16, 1, 2, 24, 48, num_classes=5),
    }
    net = made(special.get(name) or getattr(models, name))
    shape = (3, 32, 32) if name == "vit" else (3, 64, 64)
    module = rebuild_scripted(program(net) if program is scripted else program(net, 1, shape))
    assert_same_values(net, module, images(2, shape), exact=name != "vit")
    own = tuple(layer for layer in find_layers(net, shape).layers if not layer.heads)  # which are not found in programs
    assert find_layers(module, shape).layers == own
