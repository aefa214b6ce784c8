import copy
import warnings

import pytest
import torch

from lurk.errors import Cancelled
from lurk.methods import METHODS, MapRequest
from lurk.methods.attribution.target import Target
from lurk.methods.integrated_gradients import baseline_of
from tests.methods.networks import image_of, network, through

METHOD = METHODS["integrated_gradients"]


def asked(name, target, report=lambda _done, _total: None, **options):
    model = network(name)
    request = MapRequest(
        model, model.plan(), image_of(1, *model.input_shape), target, METHOD.spec.read(options), report=report
    )
    return METHOD.run(request)


LAYERS = {
    "plain": "7", "functional": "four", "residual": "blocks.1.conv2", "vit": "blocks.1.up", "grey": "one",
    "untraceable": "one",
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_its_values_add_up_to_what_the_unit_gains_from_the_baseline(name):
    found = asked(name, Target(LAYERS[name], 1, "map"), steps=300)
    baseline, image = found.more["ends"][0].tolist()
    assert abs(float(found.values.sum()) - (image - baseline)) < 0.02 * abs(image - baseline)


@pytest.mark.parametrize("name", ["plain", "functional", "residual", "vit", "grey"])
def test_it_equals_captum_on_the_model_itself(name):
    from captum.attr import IntegratedGradients

    model = network(name)
    image = image_of(1, *model.input_shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = copy.deepcopy(model.module)
        expected = IntegratedGradients(module).attribute(image, torch.zeros_like(image), target=3, n_steps=50)
    found = asked(name, Target(LAYERS[name], 0, "class", label=3), baseline="mean").values[0]
    assert (found - expected[0]).abs().max() <= 1e-4 * expected.abs().max()


def test_it_equals_the_sum_over_the_way_written_out():
    """The midpoints of many short steps, each with its gradient, times the whole way."""
    model, target = network("plain"), Target("7", 2, "map")
    image = image_of(3, 16, 16)
    total, steps = torch.zeros(3, 16, 16), 2000
    with torch.enable_grad():
        for part in range(0, steps, 500):
            at = (torch.arange(part, part + 500) + 0.5) / steps
            batch = (at.view(-1, 1, 1, 1) * image).requires_grad_()
            values = through(model.module, 9, batch)[:, 2].sum()
            total += torch.autograd.grad(values, batch)[0].sum(0)
    expected = image * total / steps
    found = METHOD.run(
        MapRequest(model, model.plan(), image[None], target, METHOD.spec.read({"steps": 400, "baseline": "mean"}))
    ).values[0]
    assert (found - expected).abs().max() < 0.02 * expected.abs().max()


def test_a_unit_at_its_bound_is_explained_with_its_bound():
    """x in [0, 10] by a weight of 1 and ReLU6: 6 of it, all from the way below the bound."""
    from torch import nn

    import lurk

    module = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU6()).eval()
    module[0].weight.data.fill_(1.0)
    module[0].bias.data.zero_()
    model = lurk.load_model(module, input_shape=(1, 1, 1))
    request = MapRequest(
        model,
        model.plan(),
        torch.full((1, 1, 1, 1), 10.0),
        Target("0", 0),
        METHOD.spec.read({"baseline": "mean", "steps": 500}),
    )
    assert abs(float(METHOD.run(request).values) - 6) < 0.05


def test_baselines_are_colours_as_the_network_takes_them():
    import lurk

    model = lurk.load_model("efficientnet_lite0")
    image = image_of(1, 3, 4, 4)
    for name, sample in (("black", 0.0), ("grey", 0.5), ("white", 1.0)):
        torch.testing.assert_close(model.displayed(baseline_of(model, image, name)), torch.full((1, 3, 4, 4), sample))
    assert not baseline_of(model, image, "mean").any()


def test_it_reports_and_stops_within_a_batch():
    told = []
    asked("plain", Target("7", 2), lambda done, total: told.append((done, total)), steps=20)
    assert told[-1] == (20, 20)
    assert [done for done, _ in told] == sorted(done for done, _ in told)

    def stop(_done, _total):
        raise Cancelled

    with pytest.raises(Cancelled):
        asked("plain", Target("7", 2), stop)


def test_its_defaults_are_those_that_it_states():
    assert METHOD.spec.read({}) == {"steps": 50, "baseline": "black"}
