import pytest
import torch

from lurk.methods import METHODS, MapRequest
from lurk.methods.attribution.backsignal import target_signal
from lurk.methods.attribution.target import Target
from tests.methods.networks import image_of, network

METHOD = METHODS["guided_backprop"]


@pytest.mark.parametrize("target", [Target("7", 2), Target("7", 2, "map"), Target("7", 2, "class", label=1)])
def test_it_is_the_signal_of_its_rule(target):
    model, image = network("plain"), image_of(3, 16, 16)
    values = METHOD.run(MapRequest(model, model.plan(), image[None], target, {})).values[0]
    assert torch.equal(values, target_signal(model.plan(), target, image[None], "guided")[0])
    assert not torch.equal(values, target_signal(model.plan(), target, image[None])[0])


def test_a_unit_of_the_first_layer_has_its_gradient_as_nothing_lies_between():
    model, image, target = network("plain"), image_of(3, 16, 16), Target("0", 2)
    values = METHOD.run(MapRequest(model, model.plan(), image[None], target, {})).values[0]
    assert torch.equal(values, target_signal(model.plan(), target, image[None])[0])
