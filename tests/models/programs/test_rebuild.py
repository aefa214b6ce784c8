import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lurk
from lurk.errors import LurkError, ModelError
from lurk.graph.module_words import module_words
from lurk.methods import METHODS, MapMethod
from lurk.methods.randomization_test import randomize_weights
from lurk.models.programs.rebuild import rebuilt
from tests.models.programs.made import SHAPE, Fixed, Small, assert_same_values, exported, images, made, scripted, traced


class Around(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.head = inner, nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.inner(x))


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.conv(x).mean((2, 3)) + self.conv(y).mean((2, 3))


PROGRAMS = {
    "scripted": scripted,
    "traced": traced,
    "exported": exported,
    "its module": lambda net: exported(net).module(),
    "exported for one image": lambda net: exported(net, 1, free=False),
}


def test_convolutions_are_described_as_in_the_original():
    net = nn.Sequential(nn.Conv2d(3, 6, 3, stride=(2, 1), dilation=2, groups=3), nn.Conv2d(6, 6, 1)).eval()
    for program in (scripted, traced, exported):
        first, second = rebuilt(program(net)).children()
        assert module_words(first) == "3×3 convolution, depthwise, stride 2×1, dilation 2", program
        assert module_words(second) == "1×1 convolution", program


@pytest.mark.parametrize("kind", PROGRAMS)
def test_a_program_is_shown_as_the_network_that_it_was_made_of(kind):
    net = made(Small)
    model = lurk.load_model(PROGRAMS[kind](net), input_shape=SHAPE)
    assert model.layers == lurk.load_model(net, input_shape=SHAPE).layers
    assert model.weights == "as given"
    assert "the model brings no preprocessing, so the usual one is assumed" in model.notice


@pytest.mark.parametrize("kind", ["scripted", "traced", "exported"])
def test_every_map_is_that_of_the_original(kind):
    net, image = made(Small), images(1)[0]
    own, model = (lurk.load_model(one, input_shape=SHAPE) for one in (net, PROGRAMS[kind](net)))
    drawn = 0
    for name in METHODS:
        if not isinstance(METHODS[name], MapMethod) or name == "netdissect_mask":  # which needs a sweep
            continue
        maps = [lurk.attribute(one, image, "block.conv1", 3, method=name, device="cpu") for one in (own, model)]
        np.testing.assert_array_equal(*maps, err_msg=name)
        drawn += 1
    assert drawn >= 10


def test_the_check_with_random_weights_is_refused_where_statistics_are_fixed():
    model = lurk.load_model(exported(made(Small)), input_shape=SHAPE)
    with pytest.raises(LurkError, match=r"^the check with random weights .* batch normalisations are fixed"):
        randomize_weights(model, model.plan(), 0)


def test_a_picture_is_that_of_the_original():
    net = made(Small)
    own, model = (lurk.load_model(one, input_shape=SHAPE) for one in (net, scripted(net)))
    drawn = [lurk.visualize(one, "block.conv1", [1, 2], steps=3, device="cpu") for one in (own, model)]
    np.testing.assert_allclose(*drawn, rtol=0, atol=1e-5)  # of modules norms are folded into convolutions


@pytest.mark.parametrize("program", [scripted, exported])
def test_a_program_inside_a_network_is_shown_and_left_as_it_was(program):
    inner = made(Small)
    given = program(inner)
    outer = Around(given if isinstance(given, nn.Module) else given.module())
    kept = outer.inner
    module = rebuilt(outer)
    assert outer.inner is kept
    eager = Around(inner)
    eager.head.load_state_dict(outer.head.state_dict())
    assert_same_values(eager.eval(), module, images(3))


@pytest.mark.parametrize("program", [traced, lambda net: exported(net, 1, free=False)])
def test_a_fixed_batch_size_is_told_with_the_way_out(program):
    with pytest.raises(ModelError, match=r"it takes exactly 1 at once; .*dynamic_shapes=\(\{0: torch.export.Dim"):
        lurk.load_model(program(made(Fixed)), input_shape=SHAPE).plan()


def test_another_fixed_batch_size_is_told():
    for count in (2, 3, 4):
        with pytest.raises(ModelError, match=f"it takes exactly {count} at once"):
            lurk.load_model(exported(made(Fixed), count, free=False)).plan()


def test_a_program_with_two_inputs_is_told():
    with pytest.raises(ModelError, match="its forward takes 2 inputs"):
        lurk.load_model(scripted(made(Two)), input_shape=SHAPE).plan()


def test_what_is_no_network_is_told():
    with pytest.raises(ModelError, match=r"^a TorchScript function has no parts"):
        lurk.load_model(traced(torch.relu))
