import pytest
import torch
from torch import nn

import lurk
from lurk.errors import LurkError
from lurk.methods import METHODS, MapRequest
from lurk.methods.attribution.backsignal import target_signal
from lurk.methods.attribution.target import Target
from tests.methods.attribution.test_backsignal import Called, Swish
from tests.methods.networks import image_of, network, through

METHOD = METHODS["deconvnet"]


@pytest.mark.parametrize("target", [Target("7", 2), Target("7", 2, "map"), Target("7", 2, "class", label=1)])
def test_it_is_the_signal_of_its_rule(target):
    model, image = network("plain"), image_of(3, 16, 16)
    values = METHOD.run(MapRequest(model, model.plan(), image[None], target, {})).values[0]
    assert torch.equal(values, target_signal(model.plan(), target, image[None], "deconvnet")[0])
    assert not torch.equal(values, target_signal(model.plan(), target, image[None])[0])


def test_it_hardly_depends_on_an_image_where_nothing_is_pooled():
    """What its caution says: without switches the same pattern comes back from any image that the unit answers to."""
    model, target = network("functional"), Target("three", 1, "position", 8, 8)
    model.module.three.bias.data.fill_(50.0)
    one, two = (
        METHOD.run(MapRequest(model, model.plan(), image_of(3, 16, 16, seed=seed)[None], target, {})).values[0]
        for seed in (1, 2)
    )
    assert one.any()
    torch.testing.assert_close(one, two)


def test_positions_where_the_unit_is_not_active_send_nothing_back():
    model, image = network("plain"), image_of(3, 16, 16)
    made = model.plan()
    whole = METHOD.run(MapRequest(model, made, image[None], Target("0", 1, "map"), {})).values[0]
    with torch.no_grad():
        active = (through(model.module, 2, image[None])[0, 1] > 0).nonzero().tolist()
    assert 0 < len(active) < 256
    parts = [
        METHOD.run(MapRequest(model, made, image[None], Target("0", 1, "position", row, col), {})).values[0]
        for row, col in active
    ]
    torch.testing.assert_close(whole, torch.stack(parts).sum(0))


@pytest.mark.parametrize("name", ["deconvnet", "guided_backprop"])
def test_a_network_with_a_derivative_of_its_own_is_refused_with_the_reason(name):
    module = nn.Sequential(nn.Conv2d(3, 4, 3), Called(Swish.apply), nn.Conv2d(4, 2, 1)).eval()
    model = lurk.load_model(module, input_shape=(3, 8, 8))
    assert "Swish has a derivative of its own" in METHODS[name].refuse(model.plan())
    with pytest.raises(LurkError, match="Swish has a derivative of its own"):
        METHODS[name].run(MapRequest(model, model.plan(), image_of(1, 3, 8, 8), Target("2", 0), {}))
