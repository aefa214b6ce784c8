"""What pictures reach, on networks whose answer is known."""

import pytest
import torch
from torch import nn

import lurk
from lurk.errors import LurkError
from lurk.methods.feature_vis.picture_evaluation import evaluate_pictures, relative_distance
from tests.methods.networks import network, state_of


def colours():
    """Its first layer's units are the colours; then the mean of each, as scores."""
    module = nn.Sequential(nn.Conv2d(3, 3, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    module[0].weight.data = torch.eye(3).view(3, 3, 1, 1)
    module[0].bias.data.zero_()
    return lurk.load_model(module.eval(), input_shape=(3, 32, 32))


def test_the_clean_picture_is_measured_as_the_network_is_given_it():
    model = colours()
    pictures = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    expected = model.normalised(pictures)
    for picture, unit, one in zip(
        expected, (0, 2, 1), evaluate_pictures(model, model.plan(), "0", [0, 2, 1], pictures), strict=True
    ):
        assert one.reached_mean == pytest.approx(float(picture[unit].mean()), abs=1e-5)
        assert one.reached_max == pytest.approx(float(picture[unit].max()), abs=1e-5)
        assert one.probability is None


def test_a_picture_of_another_size_is_brought_to_the_networks():
    model = colours()
    (one,) = evaluate_pictures(model, model.plan(), "0", [1], torch.full((1, 3, 12, 12), 0.25))
    expected = float(model.normalised(torch.full((1, 3, 1, 1), 0.25))[0, 1])
    assert one.reached_mean == pytest.approx(expected, abs=1e-5)
    assert one.after_jitter_mean == pytest.approx(expected, abs=1e-5)


def test_jitter_is_over_eight_seeded_shifts_of_up_to_eight_pixels():
    """A ramp down the rows: its maximum leaves or stays, and its mean goes by the shift."""
    model = colours()
    ramp = torch.arange(32).float().view(1, 1, 32, 1).expand(1, 3, 32, 32) / 31
    (one,), (again,), (other,) = (
        evaluate_pictures(model, model.plan(), "0", [0], ramp, seed=seed) for seed in (0, 0, 1)
    )
    assert one == again
    assert one.after_jitter_mean != other.after_jitter_mean
    low, high = (
        float(model.normalised(part.mean((2, 3), keepdim=True))[0, 0])
        for part in ((ramp - 8 / 31).clamp(min=0), (ramp + 8 / 31).clamp(max=1))
    )
    assert low < one.after_jitter_mean < high
    assert one.after_jitter_max < one.reached_max
    farthest = float(model.normalised(torch.full((1, 3, 1, 1), 23 / 31))[0, 0])
    assert one.after_jitter_max > farthest


def test_of_a_class_the_score_and_its_probability_are_told():
    model = colours()
    pictures = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    scores = model.normalised(pictures).mean((2, 3))
    found = evaluate_pictures(model, model.plan(), "", [2, 0], pictures)
    for one, label, score in zip(found, (2, 0), scores, strict=True):
        assert one.reached_mean == one.reached_max == pytest.approx(float(score[label]), abs=1e-5)
        assert one.probability == pytest.approx(float(score.softmax(0)[label]), abs=1e-5)
        assert one.after_jitter_probability is not None


def test_a_layer_as_a_whole_is_measured_without_units():
    model = colours()
    pictures = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    (one,) = evaluate_pictures(model, model.plan(), "0", [], pictures)
    assert one.reached_mean == pytest.approx(float(model.normalised(pictures).mean()), abs=1e-5)


def test_wrong_units_are_named():
    model = colours()
    pictures = torch.zeros(2, 3, 32, 32)
    with pytest.raises(LurkError, match="layer 0: unit must be from 0 to 2, not 3"):
        evaluate_pictures(model, model.plan(), "0", [0, 3], pictures)
    with pytest.raises(LurkError, match="2 pictures need as many units, not 1"):
        evaluate_pictures(model, model.plan(), "0", [0], pictures)


@pytest.mark.parametrize("name", ["plain", "vit", "grey", "untraceable"])
def test_figures_do_not_depend_on_how_many_there_are_and_leave_the_model_as_it_was(name):
    model = network(name)
    plan, before = model.plan(), state_of(model.module)
    layer = plan.layers[1].name
    pictures = torch.rand(20, *model.input_shape, generator=torch.Generator().manual_seed(0))
    together = evaluate_pictures(model, plan, layer, [at % 4 for at in range(20)], pictures)
    (alone,) = evaluate_pictures(model, plan, layer, [18 % 4], pictures[18:19])
    assert together[18].after_jitter_mean == pytest.approx(alone.after_jitter_mean, abs=1e-4)
    assert state_of(model.module) == before


def test_relative_distance_is_zero_for_the_image_itself():
    model = colours()
    image = model.normalised(torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0)))
    pictures = torch.stack([model.displayed(image), torch.zeros(3, 32, 32)])
    same, black = relative_distance(model, model.plan(), "0", image, pictures)
    assert same == pytest.approx(0, abs=1e-6)
    apart = model.normalised(torch.zeros(3, 32, 32)) - image
    assert black == pytest.approx(float(apart.norm() / image.norm()), rel=1e-4)


def test_the_value_before_the_activation_function_stands_beside_the_unit():
    conv = nn.Conv2d(3, 2, 1, bias=False)
    conv.weight.data = torch.tensor([[10.0, 0, 0], [-4.0, 0, 0]]).view(2, 3, 1, 1)
    model = lurk.load_model(nn.Sequential(conv, nn.ReLU6()), preprocess=lambda image: torch.zeros(3, 12, 12))
    picture = torch.full((1, 3, 12, 12), 0.5)
    picture[0, 0, :6] = 0.9
    given = model.normalised(picture)[0, 0]
    for unit, factor in enumerate((10.0, -4.0)):
        (one,) = evaluate_pictures(model, model.plan(), "0", [unit], picture)
        entering = factor * given
        assert one.before_mean == pytest.approx(entering.mean().item(), rel=1e-5)
        assert one.before_max == pytest.approx(entering.max().item(), rel=1e-5)
        assert one.reached_max == pytest.approx(entering.clamp(0, 6).max().item(), rel=1e-5)
    (score,) = evaluate_pictures(model, model.plan(".*"), "1", [0], picture)
    assert score.before_max == pytest.approx((10 * given).max().item(), rel=1e-5)
