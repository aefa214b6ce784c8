"""The loop of ascent, on networks whose gradients are known."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import lurk
from lurk.errors import Cancelled
from lurk.methods.feature_vis.ascent import REDIRECTED_STEPS, AscentSettings, ascend, mean_colour
from lurk.methods.feature_vis.objectives import Objective, channel
from lurk.methods.feature_vis.parameterization import Fourier, Pixels, add_noise
from lurk.methods.feature_vis.regularizers import Regularizers
from lurk.methods.feature_vis.transforms import Views
from tests.methods.networks import network, state_of

WEIGHTS = torch.tensor([2.0, -1.0, 0.5])
STILL = Views((4, 6), robust=False)


def quiet(*_):
    pass


def linear():
    """A unit that is a weighted sum of the colours, its mean over the picture; the input is not normalised."""
    module = nn.Sequential(nn.Conv2d(3, 2, 1, bias=False))
    module[0].weight.data = torch.stack([WEIGHTS, -WEIGHTS]).view(2, 3, 1, 1)
    return lurk.load_model(module.eval(), input_shape=(3, 4, 6))


def climbed(recipe, start=0.5, model=None, objective=None, show=quiet):
    model = model or linear()
    canvas = Pixels(torch.full((1, *model.input_shape), start))
    return ascend(model, model.plan(), objective or channel("0", (0,)), canvas, recipe, show)


def slope(model):
    """Derivative of the mean by each sample of a picture in [0, 1]."""
    std = 1.0 if model.std is None else torch.tensor(model.std)
    return (WEIGHTS / std / 24).view(1, 3, 1, 1).expand(1, 3, 4, 6)


def test_a_constant_rate_goes_along_the_gradient():
    model = linear()
    found = climbed(AscentSettings(2, STILL, "constant", 0.5), model=model)
    assert torch.allclose(found, 0.5 + slope(model) * 0.5 * 2, atol=1e-6)


def test_progress_raises_the_number_by_the_rate_and_no_faster_than_its_limit():
    model = linear()
    full = slope(model)
    found = climbed(AscentSettings(1, STILL, "progress", 0.01), model=model)
    assert torch.allclose(((found - 0.5) * full).sum(), torch.tensor(0.01), atol=1e-6)
    found = climbed(AscentSettings(1, STILL, "progress", 1e9, limit=0.25), model=model)
    assert torch.allclose(found, 0.5 + full * 0.25, atol=1e-6)


def test_progress01_asks_for_no_more_than_is_left_to_one():
    model = linear()
    start = float((model.normalised(torch.full((1, 3, 4, 6), 0.5))[0].mean((1, 2)) * WEIGHTS).sum())
    found = climbed(AscentSettings(1, STILL, "progress01", 0.9), model=model)
    assert torch.allclose(((found - 0.5) * slope(model)).sum(), torch.tensor(min(0.9, 1 - start)), atol=1e-4)


def test_a_normalised_step_changes_a_sample_by_the_rate_on_average():
    found = climbed(AscentSettings(1, STILL, "normalized", 0.02))
    assert torch.allclose((found - 0.5).abs().mean(), torch.tensor(0.02), atol=1e-6)


def test_adam_steps_by_its_rate():
    found = climbed(AscentSettings(1, STILL, "adam", 0.1))
    assert torch.allclose(found, 0.5 + 0.1 * WEIGHTS.sign().view(1, 3, 1, 1).expand_as(found), atol=1e-4)
    assert AscentSettings(1, STILL).policy == "adam"
    assert AscentSettings(1, STILL).rate == 0.05


def test_rules_are_left_out_on_the_last_step():
    rules = Regularizers(decay=1.0)
    model = linear()
    for steps in (1, 3):
        found = climbed(AscentSettings(steps, STILL, "constant", 0.5, regularizers=rules), start=0.3, model=model)
        before = 0.3 if steps == 1 else mean_colour(model, found)
        assert torch.allclose(found, (before + slope(model) * 0.5).expand_as(found), atol=1e-6)


def test_the_best_pictures_are_kept_where_asked_for():
    """The rate is so large that the picture swings between two ends, of which the better is to be kept."""

    swing = Objective(lambda reached: -(reached["0"][:, 0] - 0.1).square().mean((1, 2)), ("0",))
    model = linear()
    for keep, compare in ((True, min), (False, max)):
        shown = []
        recipe = AscentSettings(4, STILL, "constant", 1e3, keep_best=keep)
        found = climbed(recipe, 0.45, model, swing, lambda _done, _all, pictures, shown=shown: shown.append(pictures()))
        numbers = [float(loss(model, one)) for one in (torch.full_like(found, 0.45), *shown)]
        if keep:
            assert loss(model, found) == pytest.approx(compare(numbers[:4]), rel=1e-4)
        else:
            assert loss(model, found) == pytest.approx(numbers[-1], rel=1e-4)


def loss(model, pictures):
    values = (model.normalised(pictures) * WEIGHTS.view(1, 3, 1, 1)).sum(1)
    return (values - 0.1).square().mean()


def test_penalties_count_against_the_number():
    start = torch.rand(1, 3, 4, 6, generator=torch.Generator().manual_seed(0)) * 0.2 + 0.4
    model = linear()
    plain, flat, near = (
        ascend(
            model, model.plan(), channel("0", (0,)), Pixels(start), replace(AscentSettings(20, STILL), **change), quiet
        )
        for change in ({}, {"total_variation": 50.0}, {"distance": 50.0})
    )
    assert float((flat - flat.mean((2, 3), keepdim=True)).abs().mean()) < 0.02
    assert float((near - mean_colour(model, near)).abs().mean()) < 0.05
    assert float((plain - mean_colour(model, plain)).abs().mean()) > 0.3


def off():
    """A unit that is off for any picture near grey: 3 · (first colour) - 2."""
    module = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU(inplace=True), nn.Conv2d(2, 2, 1), nn.ReLU())
    for part, bias in ((module[0], -2.0), (module[2], -0.1)):
        part.weight.data.zero_()
        part.weight.data[:, 0] = 3.0
        part.bias.data.fill_(bias)
    return lurk.load_model(module.eval(), input_shape=(3, 4, 6))


def test_units_that_are_off_at_the_start_are_helped():
    model = off()
    start = model.displayed(torch.zeros(1, 3, 4, 6))
    canvas = Pixels(start)
    found = ascend(
        model, model.plan(), channel("2", (0,)), canvas, AscentSettings(REDIRECTED_STEPS, STILL, rate=0.1), quiet
    )
    assert float(found[:, 0].min()) > float(start[:, 0].max()) + 0.2
    assert torch.equal(found[:, 1:], start[:, 1:])


def test_help_does_not_push_what_is_off_further_off():
    model = off()
    start = model.displayed(torch.zeros(1, 3, 4, 6))
    found = ascend(
        model, model.plan(), -channel("2", (0,)), Pixels(start), AscentSettings(REDIRECTED_STEPS, STILL), quiet
    )
    assert torch.equal(found, start)


def test_help_for_one_picture_leaves_those_beside_it_alone():
    """The second picture is on from the start."""
    model = off()
    dark = model.displayed(torch.zeros(1, 3, 4, 6))
    light = model.displayed(torch.zeros(1, 3, 4, 6) + torch.tensor([0.9, 0, 0]).view(1, 3, 1, 1))
    recipe = AscentSettings(4, STILL)
    both = ascend(model, model.plan(), channel("2", (0, 0)), Pixels(torch.cat([dark, light])), recipe, quiet)
    for start, found in ((dark, both[:1]), (light, both[1:])):
        alone = ascend(model, model.plan(), channel("2", (0,)), Pixels(start), recipe, quiet)
        assert torch.allclose(found, alone, atol=1e-6)
        assert not torch.equal(alone, start)


@pytest.mark.parametrize("name", ["plain", "functional", "residual", "vit", "untraceable"])
def test_a_picture_does_not_depend_on_those_beside_it(name):
    model = network(name)
    plan = model.plan()
    layer = plan.layers[len(plan.layers) // 2].name
    recipe = AscentSettings(4, Views(model.input_shape[1:]), seed=3)
    start = torch.full((1, 3, 16, 16), 0.5)

    def random_transform(*units):
        canvas = Fourier(start.repeat_interleave(len(units), 0))
        add_noise(canvas.parameter, 0.1, 0, 1)
        return ascend(model, plan, channel(layer, units), canvas, recipe, quiet)

    together = random_transform(1, 2, 3)
    assert torch.allclose(together[1:2], random_transform(2), atol=2e-3)
    assert torch.equal(together, random_transform(1, 2, 3))


def test_each_step_is_shown_with_the_pictures_so_far():
    seen = []
    found = climbed(AscentSettings(3, STILL), show=lambda done, total, pictures: seen.append((done, total, pictures())))
    assert [(done, total) for done, total, _ in seen] == [(1, 3), (2, 3), (3, 3)]
    assert torch.equal(seen[-1][2], found)
    assert not torch.equal(seen[0][2], found)
    assert not any(pictures.requires_grad for *_, pictures in seen)


@pytest.mark.parametrize("name", ["plain", "untraceable"])
def test_a_drawing_that_is_cancelled_leaves_the_model_as_it_was(name):
    model = network(name)
    plan = model.plan()
    model.module.train()
    before, steps = state_of(model.module), []

    def cancel(done, *_):
        steps.append(done)
        if done == 2:
            raise Cancelled

    canvas = Pixels(torch.full((1, 3, 16, 16), 0.5))
    with pytest.raises(Cancelled):
        ascend(model, plan, channel(plan.layers[1].name, (0,)), canvas, AscentSettings(9, Views((16, 16))), cancel)
    assert steps == [1, 2]
    assert state_of(model.module) == before


def test_the_slope_by_picture_is_told_where_asked_for():
    model, slopes = linear(), []
    climbed(AscentSettings(2, STILL, watch=slopes.append), model=model)
    assert len(slopes) == 2
    assert torch.allclose(slopes[1], slope(model), atol=1e-7)


def swapped(picture):
    """Blue, green, red, 0 to 255, less a mean: what networks from Caffe take."""
    samples = torch.from_numpy(np.array(picture.resize((8, 8)), np.float32)).permute(2, 0, 1)
    return samples.flip(0) - torch.tensor([104.0, 117, 123]).view(3, 1, 1)


def logarithm(picture):
    return (torch.from_numpy(np.array(picture.resize((8, 8)), np.float32)).permute(2, 0, 1) + 1).log()


def grey_times_3(picture):
    samples = torch.from_numpy(np.array(picture.convert("L").resize((8, 8)), np.float32))
    return samples.expand(3, 8, 8) / 127.5 - 1


def drawn(preprocess, unit=0, **options):
    """A picture for a unit that is one channel of the input, and all that the network was fed while it was drawn."""
    module, fed = nn.Sequential(nn.Conv2d(3, 3, 1, bias=False)), []
    module[0].weight.data = torch.eye(3).view(3, 3, 1, 1)
    model = lurk.load_model(module.eval(), preprocess=preprocess)
    model.layers  # noqa: B018 - planning feeds the network too
    module[0].register_forward_pre_hook(lambda _, given: fed.append(given[0].detach().clone()))
    return lurk.visualize(model, "0", [unit], steps=24, robustness=False, rate=0.2, **options)[0], torch.cat(fed)


@pytest.mark.parametrize("options", [{}, {"canvas": "pixels"}, {"start": "mean", "canvas": "pixels"}])
def test_ascent_feeds_what_the_preprocessing_could_give(options):
    picture, fed = drawn(swapped, 2, **options)
    low, high = torch.tensor([-104.0, -117, -123]), torch.tensor([151.0, 138, 132])
    assert (fed.amin((0, 2, 3)) >= low - 1e-3).all()
    assert (fed.amax((0, 2, 3)) <= high + 1e-3).all()
    assert picture[0].mean() > 0.7  # channel 2 is red, sample 0 of a picture
    assert picture[1:].mean() < picture[0].mean() - 0.1


def test_ascent_in_grey_feeds_three_equal_channels():
    picture, fed = drawn(grey_times_3, canvas="pixels")
    assert picture.shape == (3, 8, 8)
    assert (picture[0] == picture[2]).all()
    assert picture.mean() > 0.9
    assert torch.equal(fed[:, 0], fed[:, 2])
    assert float(fed.abs().max()) <= 1 + 1e-5


def test_where_the_preprocessing_has_no_inverse_ascent_stays_in_the_range_of_the_input():
    picture, fed = drawn(logarithm, canvas="pixels")
    assert picture.shape == (3, 8, 8)
    assert picture[0].mean() > 0.9
    assert float(fed.min()) >= -1e-5
    assert float(fed.max()) <= math.log(256) + 1e-5
