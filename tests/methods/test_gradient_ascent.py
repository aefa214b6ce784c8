"""Pictures that units answer to most."""

import pytest
import torch

import lurk
from lurk.errors import LurkError
from lurk.methods.feature_vis.picture_evaluation import evaluate_pictures
from tests.methods.drawing import default, draw, reached
from tests.methods.networks import network

LAYER = "3"


def test_the_defaults_are_the_documented_ones():
    expected = {"objective": "channel", "row": -1, "col": -1, "direction": "maximise", "steps": 256, "rate": 0.05}
    assert {name: default("gradient_ascent", name) for name in expected} == expected


@pytest.mark.parametrize("name", ["plain", "functional", "residual", "vit", "grey", "untraceable"])
@pytest.mark.parametrize("canvas", ["fourier", "pixels"])
def test_what_is_drawn_reaches_more_than_what_it_began_with(name, canvas):
    model = network(name)
    layer = model.plan().layers[1].name
    options = {"canvas": canvas, "robustness": False, "rate": 0.05}
    start, found = (
        reached(model, layer, draw("gradient_ascent", model, layer, (0, 1, 2), steps=steps, **options).pictures)
        for steps in (1, 40)
    )
    for at in range(3):
        assert float(found[at, at].mean()) >= float(start[at, at].mean())
    assert any(float(found[at, at].mean()) > float(start[at, at].mean()) + 0.05 for at in range(3))


def test_maximise_and_minimise_go_apart():
    model = network("vit")
    layer = model.plan().layers[1].name
    high, low = (
        reached(model, layer, draw("gradient_ascent", model, layer, (1,), steps=30, direction=direction).pictures)
        for direction in ("maximise", "minimise")
    )
    assert float(high[0, 1].mean()) > float(low[0, 1].mean()) + 0.2


def test_a_neurons_picture_is_about_its_position():
    """Only the field of the position is changed from the mean colour, as pixels; the field is 3 by 3."""
    model = network("plain")
    start = draw("gradient_ascent", model, "0", (1,), steps=1, rate=0, canvas="pixels", start="mean").pictures
    options = {"objective": "neuron", "canvas": "pixels", "start": "mean", "robustness": False, "steps": 8}
    for row, col, middle in ((4, 11, (4, 11)), (-1, -1, (8, 8))):
        found = draw("gradient_ascent", model, "0", (1,), row=row, col=col, **options).pictures
        changed = (found - start).abs().amax((0, 1)) > 1e-6
        rows, cols = torch.where(changed)
        assert len(rows)
        assert {abs(int(at) - middle[0]) for at in rows} <= {0, 1}
        assert {abs(int(at) - middle[1]) for at in cols} <= {0, 1}


def test_the_same_request_gives_the_same_picture_and_another_seed_another():
    model = network("residual")
    layer = model.plan().layers[1].name
    one, two, three = (draw("gradient_ascent", model, layer, (0, 1), steps=6, seed=seed).pictures for seed in (0, 0, 1))
    assert torch.equal(one, two)
    assert not torch.allclose(one, three, atol=0.01)


def test_what_is_not_there_is_named():
    model = network("plain")
    with pytest.raises(LurkError, match="layer 3: unit must be from 0 to 7, not 8"):
        draw("gradient_ascent", model, LAYER, (0, 8), steps=1)
    with pytest.raises(LurkError, match="rows 0 to 7 and columns 0 to 7"):
        draw("gradient_ascent", model, LAYER, (0,), steps=1, objective="neuron", row=8)
    with pytest.raises(LurkError, match="no layer 'nowhere'"):
        draw("gradient_ascent", model, "nowhere", (0,), steps=1)


@pytest.mark.slow
def test_units_of_the_real_network_reach_more_than_noise_and_keep_it_when_shifted():
    model = lurk.load_model("efficientnet_lite0")
    layer, units = "_blocks.2._depthwise_conv", (3, 40)
    pictures = draw("gradient_ascent", model, layer, units, steps=16, size=96).pictures
    noise = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(0)) * 0.2 + 0.4
    for one, plain in zip(
        *(evaluate_pictures(model, model.plan(), layer, units, some) for some in (pictures, noise)), strict=True
    ):
        assert one.reached_mean > 1.8 * plain.reached_mean
        assert one.after_jitter_mean > 0.8 * one.reached_mean
