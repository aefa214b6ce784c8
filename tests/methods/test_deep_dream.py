"""Photographs changed towards what the network sees in them."""

import pytest
import torch

from lurk.errors import LurkError
from tests.methods.drawing import draw, reached
from tests.methods.networks import image_of, network

LAYER = "3"


def test_the_layer_answers_more_strongly_and_the_photograph_stays():
    model = network("plain")
    image = image_of(3, 16, 16) * 0.3
    (found,) = draw("deep_dream", model, LAYER, image=image, steps=8, octaves=2, size=16, rate=0.01).pictures
    before, after = (reached(model, LAYER, one[None]).square().mean() for one in (model.displayed(image), found))
    assert float(after) > 1.2 * float(before)
    assert 0 < float((found - model.displayed(image)).abs().mean()) < 0.16


def test_a_unit_can_be_dreamed_of_alone():
    model = network("plain")
    image = image_of(3, 16, 16) * 0.3
    found = draw("deep_dream", model, LAYER, (1, 2), image=image, steps=6, octaves=1, size=16).pictures
    before = reached(model, LAYER, model.displayed(image)[None])
    after = reached(model, LAYER, found)
    for at, unit in enumerate((1, 2)):
        assert float(after[at, unit].square().mean()) > float(before[0, unit].square().mean())
    assert not torch.equal(found[0], found[1])


def test_steps_are_counted_over_all_zooms_and_the_side_is_twice_the_networks():
    seen = []
    model = network("grey")
    found = draw(
        "deep_dream", model, model.plan().layers[0].name, image=image_of(1, 12, 20), steps=2, octaves=3,
        show=lambda done, total, pictures: seen.append((done, total, tuple(pictures().shape))),
    )  # fmt: skip
    assert found.pictures.shape == (1, 1, 24, 40)
    assert seen == [(done, 6, (1, 1, 24, 40)) for done in range(1, 7)]


def test_a_photograph_must_be_there():
    with pytest.raises(LurkError, match="deep_dream needs a photograph"):
        draw("deep_dream", network("plain"), LAYER)
