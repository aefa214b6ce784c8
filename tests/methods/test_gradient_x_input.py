import torch
from torch import nn

import lurk
from lurk.methods import METHODS, MapRequest
from lurk.methods.attribution.target import Target
from tests.methods.networks import image_of, network, seeded

METHOD = METHODS["gradient_x_input"]


def test_it_is_the_gradient_times_the_image_as_the_network_takes_it():
    model, image, target = network("plain"), image_of(3, 16, 16), Target("7", 2)
    values = METHOD.run(MapRequest(model, model.plan(), image[None], target, {})).values[0]
    assert torch.equal(
        values, METHODS["gradient"].run(MapRequest(model, model.plan(), image[None], target, {})).values[0] * image
    )


def test_it_adds_up_to_the_units_value_in_a_network_without_biases():
    module = seeded(
        lambda: nn.Sequential(
            nn.Conv2d(3, 6, 3, bias=False), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 4, 3, bias=False), nn.ReLU()
        )
    )
    model, image = lurk.load_model(module, input_shape=(3, 16, 16)), image_of(3, 16, 16)
    values = METHOD.run(MapRequest(model, model.plan(), image[None], Target("3", 1, "map"), {})).values[0]
    torch.testing.assert_close(values.sum(), module(image[None])[0, 1].sum().detach())
