"""Pictures that a layer answers to as it does to a photograph."""

import pytest
import torch

from lurk.errors import LurkError
from lurk.methods.feature_vis.picture_evaluation import relative_distance
from tests.methods.drawing import default, draw
from tests.methods.networks import network


def photograph(model):
    """A smooth picture, preprocessed."""
    channels, height, width = model.input_shape
    rows, cols = torch.arange(height)[:, None] / height, torch.arange(width)[None] / width
    parts = [0.5 + 0.3 * torch.sin(3 * rows + 4 * cols + at) for at in range(channels)]
    return model.normalised(torch.stack(parts))


@pytest.mark.parametrize("name", ["plain", "functional", "vit", "grey"])
def test_the_layer_answers_to_the_picture_as_to_the_photograph(name):
    model = network(name)
    layer = model.plan().layers[0].name
    image = photograph(model)
    far, near = (
        relative_distance(
            model,
            model.plan(),
            layer,
            image,
            draw("inversion", model, layer, image=image, steps=steps, rate=0.2).pictures,
        )[0]
        for steps in (1, 120)
    )
    assert near < 0.2 < far


def test_the_first_layer_keeps_the_photograph():
    model = network("functional")
    image = photograph(model)
    (found,) = draw("inversion", model, model.plan().layers[0].name, image=image, steps=200, rate=0.2).pictures
    assert float((found - model.displayed(image)).abs().mean()) < 0.06


def test_a_photograph_must_be_there():
    with pytest.raises(LurkError, match="inversion needs a photograph"):
        draw("inversion", network("plain"), "0")


def test_the_defaults_are_the_documented_ones():
    assert {name: default("inversion", name) for name in ("steps", "rate", "tv")} == {
        "steps": 256, "rate": 0.05, "tv": 0.01,
    }  # fmt: skip
