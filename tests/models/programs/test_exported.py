import copy
import warnings

import pytest
import torch
import torchvision
from torch import Tensor, nn

from lurk.errors import ModelError
from lurk.graph.layers import find_layers
from lurk.models.programs.exported import is_exported, rebuild_exported
from tests.models.programs.made import SHAPE, Branching, Small, assert_same_values, exported, images, made


class Quiet(nn.Module):
    """Runs its parts without gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Small()

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            return self.inner(x)


@pytest.fixture(scope="module")
def net():
    return made(Small)


@pytest.fixture(scope="module")
def program(net):
    return exported(net)


def test_each_part_gives_what_it_gave_under_its_name(net, program):
    assert_same_values(net, rebuild_exported(program), images(3))
    assert_same_values(net, rebuild_exported(program.module()), images(3))


def test_the_layers_are_those_of_the_original(net, program):
    own = find_layers(net, SHAPE)
    assert {"stem.0", "again:2", "block"} <= {layer.name for layer in own.layers}
    assert find_layers(rebuild_exported(program), SHAPE).layers == own.layers


def test_a_program_of_basic_operators_has_the_same_layers(net, program):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = rebuild_exported(program.run_decompositions())
    assert_same_values(net, module, images(3), exact=False)
    assert find_layers(module, SHAPE).layers == find_layers(net, SHAPE).layers


def test_outputs_keep_their_names():
    net = made(Branching)
    found = rebuild_exported(exported(net))(images(3))
    assert list(found) == ["features", "logits"]
    torch.testing.assert_close(found["logits"], net(images(3))["logits"], rtol=0, atol=0)


def test_gradients_reach_the_image_even_through_no_grad():
    net = made(Quiet)
    x = images().requires_grad_()
    (expected,) = torch.autograd.grad(net.inner(x)[:, 2].sum(), x)
    (found,) = torch.autograd.grad(rebuild_exported(exported(net))(x)[:, 2].sum(), x)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_only_images_of_the_exported_size_are_taken(program):
    module = rebuild_exported(program)
    assert module.input_shape == SHAPE
    with pytest.raises(ModelError, match=r"^the program was exported for images of 3×16×16, not 3×20×16$"):
        module(images(2, (3, 20, 16)))


def test_a_copy_computes_the_same_and_shares_nothing(program):
    module = rebuild_exported(program)
    other = copy.deepcopy(module)
    expected = module(images())
    with torch.no_grad():
        next(other.parameters()).zero_()
    assert torch.equal(module(images()), expected)
    assert not torch.equal(other(images()), expected)


def test_what_was_exported_in_training_mode_is_refused():
    with pytest.raises(ModelError, match=r"is fixed in training mode in it: call eval\(\) on the network"):
        rebuild_exported(exported(made(Small).train()))


def test_an_exported_module_is_told_from_another_graph(net, program):
    assert is_exported(program)
    assert is_exported(program.module())
    assert not is_exported(torch.fx.symbolic_trace(net))
    assert not is_exported(net)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "swin", "vit", "mobilenet_v3_small"])
def test_networks_of_torchvision_give_what_they_gave(name):
    models = torchvision.models
    special = {
        "swin": lambda: models.SwinTransformer([4, 4], 24, [1, 2], [2, 2], [7, 7], num_classes=5),
        "vit": lambda: models.VisionTransformer(32, 16, 2, 2, 24, 48, num_classes=5),
    }
    net = made(special.get(name) or getattr(models, name))
    shape = (3, 32, 32) if name == "vit" else (3, 64, 64)
    module = rebuild_exported(exported(net, 2, shape))
    assert_same_values(net, module, images(3, shape), exact=name not in ("vit", "swin"))
    own = tuple(layer for layer in find_layers(net, shape).layers if not layer.heads)  # which are not found in programs
    assert find_layers(module, shape).layers == own
