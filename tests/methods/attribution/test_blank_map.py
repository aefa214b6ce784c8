"""Blank maps say why, and a network that turns gradients off has the maps of the same network that does not."""

import logging

import pytest
import torch
from torch import nn

import lurk
from lurk.errors import LurkError

METHODS = (
    "gradient",
    "deconvnet",
    "guided_backprop",
    "smoothgrad",
    "integrated_gradients",
    "gradient_x_input",
    "grad_cam",
)


class Net(nn.Module):
    """Two convolutions; `way` says how its forward pass treats gradients, and `branches` whether it can be traced."""

    def __init__(self, way: str, branches: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one, self.two = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 2, 3, padding=1)
        self.way, self.branches = way, branches

    def forward(self, x):
        if self.branches and x.sum() > 1e9:
            x = x * 2
        if self.way == "no_grad":
            with torch.no_grad():
                return self.inner(x)
        if self.way == "inference_mode":
            with torch.inference_mode():
                return self.inner(x)
        return self.inner(x.detach() if self.way == "detach" else x)

    def inner(self, x):
        return self.two(torch.relu(self.one(x))).mean((2, 3))


def made(way: str, branches: bool) -> lurk.Model:
    return lurk.load_model(Net(way, branches), input_shape=(3, 8, 8))


IMAGE = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(1)) * 2


@pytest.mark.parametrize("branches", [False, True], ids=["traced", "raw"])
@pytest.mark.parametrize("way", ["no_grad", "inference_mode"])
def test_maps_are_those_of_the_network_with_gradients(way, branches):
    for method in METHODS:
        wanted = lurk.attribute(made("", branches), IMAGE, "two", 1, method=method, target="map")
        found = lurk.attribute(made(way, branches), IMAGE, "two", 1, method=method, target="map")
        assert (abs(found - wanted) <= 1e-6 * abs(wanted).max()).all(), method
    wanted = lurk.visualize(made("", branches), "two", 1, steps=3)
    assert abs(lurk.visualize(made(way, branches), "two", 1, steps=3) - wanted).max() <= 1e-5


@pytest.mark.parametrize("branches", [False, True], ids=["traced", "raw"])
def test_a_network_that_cuts_gradients_off_is_refused_in_one_line(branches):
    model = made("detach", branches)
    for method in METHODS[:-1]:
        with pytest.raises(LurkError, match="no gradient comes back") as raised:
            lurk.attribute(model, IMAGE, "two", 1, method=method, target="map")
        assert "\n" not in str(raised.value)
    with pytest.raises(LurkError, match="no gradient comes back"):
        lurk.visualize(model, "two", 1, steps=3)
    assert lurk.attribute(model, IMAGE, "two", 1, method="occlusion", target="map").any()


def test_a_blank_map_says_that_the_unit_is_not_active(caplog):
    net = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 2))
    with torch.no_grad():
        net[0].bias[1] = -100
    model = lurk.load_model(net, input_shape=(3, 8, 8))
    with caplog.at_level(logging.WARNING, "lurk"):
        assert not lurk.attribute(model, IMAGE, "0", 1, method="gradient").any()
    assert "zero everywhere: unit 1 of layer 0 is 0 on this image: it is not active" in caplog.text


def test_a_blank_map_says_that_nothing_depends_on_the_image(caplog):
    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.own = nn.Conv2d(3, 2, 3), nn.Linear(1, 2)

        def forward(self, x):
            return self.conv(x).mean((2, 3)) + self.own(x.mean((1, 2, 3))[:, None] * 0 + 1)

    model = lurk.load_model(Constant(), input_shape=(3, 8, 8))
    with caplog.at_level(logging.WARNING, "lurk"):
        assert not lurk.attribute(model, IMAGE, "own", 1, method="gradient").any()
    assert "the same value for any image" in caplog.text
