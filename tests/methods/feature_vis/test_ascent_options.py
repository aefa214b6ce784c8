"""What every method that draws by ascent offers."""

from dataclasses import replace

import pytest
import torch
from torch import nn

import lurk
from lurk.errors import LurkError
from lurk.methods.feature_vis import ascent_options
from lurk.methods.feature_vis.ascent_options import ASCENT_OPTIONS
from lurk.methods.feature_vis.regularizers import PRESETS
from tests.methods.drawing import draw, reached
from tests.methods.networks import image_of, network

LAYER = "3"  # of the plain network: a convolution, batch norm and a rectifier


def test_the_defaults_are_the_documented_ones():
    assert {option.name: option.default for option in ASCENT_OPTIONS} == {
        "direction": "maximise", "steps": 256, "seed": 0, "size": 0, "canvas": "fourier", "start": "noise",
        "robustness": True,
        "preset": "none", "diversity": 1, "apart": 1.0, "policy": "adam", "rate": 0.05, "tv": 0.0, "l1": 0.0,
        "decay": 0.0, "blur": 0.0, "blur_every": 4, "small_norm": 0.0, "small_contribution": 0.0,
    }  # fmt: skip


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_preset_draws_as_published_on_pixels_that_are_not_moved(name, monkeypatch):
    """The steps are cut here; the recipe that the loop is given is looked at."""
    preset, seen = PRESETS[name], []
    original = ascent_options.ascend

    def ascend(model, plan, objective, canvas, recipe, show):
        seen.append((type(canvas).__name__, recipe))
        return original(model, plan, objective, canvas, replace(recipe, steps=4), show)

    monkeypatch.setattr(ascent_options, "ascend", ascend)
    pictures = draw("gradient_ascent", network("plain"), LAYER, (0, 1), preset=name, steps=3, canvas="fourier").pictures
    ((kind, recipe),) = seen
    assert kind == "Pixels"
    assert recipe.steps == preset.steps
    assert not recipe.view.robust
    assert recipe.keep_best
    assert recipe.regularizers == preset.regularizers
    assert recipe.policy == preset.policy
    assert recipe.rate == (preset.rate / 255**2 if preset.policy == "constant" else preset.rate)
    assert recipe.limit == preset.limit / 255**2
    assert bool(pictures.isfinite().all())


def test_a_rate_for_samples_up_to_255_moves_a_picture_by_as_much_as_it_would_there(monkeypatch):
    """One step of the published update, done in its own units beside ours."""
    monkeypatch.setitem(PRESETS, "blur", replace(PRESETS["blur"], steps=1))
    model = network("plain")
    start = model.displayed(image_of(3, 16, 16))
    found = draw("gradient_ascent", model, LAYER, (2,), preset="blur", start="image", image=image_of(3, 16, 16))
    theirs = (start * 255).requires_grad_()
    from lurk.graph.partial_forward import partial_forward

    with partial_forward(model.plan(), [LAYER]) as reach:
        number = reach(model.normalised(theirs[None] / 255))[LAYER][0, 2].mean()
        (slope,) = torch.autograd.grad(number, theirs)
    assert float(slope.abs().max()) > 0
    assert torch.allclose(found.pictures[0], start, atol=1e-6)  # the best is kept, and one step knows only the start
    monkeypatch.setattr(ascent_options, "ascend", last_of(ascent_options.ascend))
    found = draw("gradient_ascent", model, LAYER, (2,), preset="blur", start="image", image=image_of(3, 16, 16))
    assert torch.allclose(found.pictures[0], ((theirs + 100 * slope).detach() / 255).clamp(0, 1), atol=1e-6)


def last_of(ascend):
    return lambda model, plan, objective, canvas, recipe, show: ascend(
        model, plan, objective, canvas, replace(recipe, keep_best=False), show
    )


def test_rules_without_a_preset_are_those_asked_for(monkeypatch):
    seen = []
    monkeypatch.setattr(
        ascent_options, "ascend", lambda _m, _p, _o, canvas, recipe, _s: (seen.append(recipe), canvas.pictures())[1]
    )
    options = {"decay": 0.1, "blur": 0.5, "blur_every": 3, "small_norm": 5, "small_contribution": 6}
    draw("gradient_ascent", network("plain"), LAYER, (0,), **options)
    draw("gradient_ascent", network("plain"), LAYER, (0,))
    rules = seen[0].regularizers
    assert (rules.decay, rules.blur_width, rules.blur_every) == (0.1, 0.5, 3)
    assert (rules.norm_percentile, rules.contribution_percentile) == (5, 6)
    assert seen[1].regularizers is None
    assert not seen[1].keep_best


@pytest.mark.parametrize("canvas", ["fourier", "pixels"])
@pytest.mark.parametrize("name", ["plain", "grey"])
def test_it_starts_from_noise_the_mean_colour_or_a_photograph(canvas, name, monkeypatch):
    monkeypatch.setattr(ascent_options, "ascend", lambda _m, _p, _o, drawn, _r, _s: drawn.pictures().detach())
    model = network(name)
    layer, image = model.plan().layers[0].name, image_of(*model.input_shape)
    noise = draw("gradient_ascent", model, layer, (0, 1), canvas=canvas).pictures
    mean = draw("gradient_ascent", model, layer, (0, 1), canvas=canvas, start="mean").pictures
    photograph = draw("gradient_ascent", model, layer, (0, 1), canvas=canvas, start="image", image=image).pictures
    assert torch.equal(noise[0], noise[1])
    assert 0 < float((noise - mean).abs().mean()) < 0.1
    assert float(mean.std((2, 3)).max()) < 1e-5
    assert torch.allclose(photograph[1], model.displayed(image).clamp(0.01, 0.99), atol=0.011)


def test_a_photograph_must_be_there_to_start_from_it():
    with pytest.raises(LurkError, match="start=image needs a photograph"):
        draw("gradient_ascent", network("plain"), LAYER, (0,), start="image")


def test_several_pictures_of_a_unit_differ_more_where_their_likeness_counts():
    """The unit is content with red as with blue, and the other units tell which."""
    module = nn.Sequential(nn.Conv2d(3, 3, 1, bias=False), nn.ReLU())
    module[0].weight.data = torch.tensor([[1.0, 0, 1], [1, 0, -1], [-1, 0, 1]]).view(3, 3, 1, 1)
    model = lurk.load_model(module.eval(), input_shape=(3, 8, 8))

    def alike(apart):
        options = {"steps": 48, "diversity": 2, "apart": apart}
        pictures = draw("gradient_ascent", model, "0", (0, 0), **options).pictures
        assert pictures.shape == (4, 3, 8, 8)
        assert torch.allclose(pictures[:2], pictures[2:], atol=1e-3)
        maps = reached(model, "0", pictures).flatten(2)
        grams = torch.nn.functional.normalize((maps @ maps.transpose(1, 2)).flatten(1), dim=1)
        return float(grams[0] @ grams[1])

    found = [alike(apart) for apart in (0.0, 1.0, 4.0)]
    assert found[2] < found[0] - 0.05


def test_the_picture_has_the_side_that_is_asked_for():
    model = network("grey")
    layer = model.plan().layers[0].name
    assert draw("gradient_ascent", model, layer, (0,), steps=2).pictures.shape == (1, 1, 12, 20)
    assert draw("gradient_ascent", model, layer, (0,), steps=2, size=18).pictures.shape == (1, 1, 18, 30)
    assert draw("gradient_ascent", model, layer, (0,), steps=2, size=5).pictures.shape == (1, 1, 5, 8)
