import pytest
import torch

from lurk.errors import LurkError
from lurk.methods.attribution.target import Target
from tests.methods.family import ask, image_of, model_of, small


def test_is_where_the_unit_exceeds_its_quantile():
    model, image = model_of(small), image_of(3, 16, 16)
    own = torch.relu(model.module[0](image[None]))[0, 2].detach()
    level = float(own.flatten().sort().values[-10])
    mask = ask("netdissect_mask", model, image, Target("0", 2), quantiles={0.995: level}).values
    assert mask.dtype == torch.float32
    assert int(mask.sum()) == 9  # strictly above the tenth largest
    assert torch.equal(mask[0].bool(), own > level)


def test_is_empty_where_the_unit_never_exceeds_it():
    model, image = model_of(small), image_of(3, 16, 16)
    peak = float(torch.relu(model.module[0](image[None]))[0, 2].detach().max())
    assert float(ask("netdissect_mask", model, image, Target("0", 2), quantiles={0.995: peak}).values.max()) == 0


def test_another_quantile_can_be_asked_for():
    model, image = model_of(small), image_of(3, 16, 16)
    given = {"quantiles": {0.5: -1.0, 0.995: 1e9}}
    assert float(ask("netdissect_mask", model, image, Target("0", 2), quantile="0.5", **given).values.min()) == 1
    with pytest.raises(LurkError, match=r"quantile is one of 0.001, .* not '0.42'"):
        ask("netdissect_mask", model, image, Target("0", 2), quantile="0.42", **given)


@pytest.mark.parametrize("quantiles", [None, {0.5: 1.0}])
def test_without_a_sweep_it_says_to_sweep(quantiles):
    model = model_of(small)
    with pytest.raises(LurkError, match=r"99.5% quantile of unit 2 of layer 0 .* sweep one first"):
        ask("netdissect_mask", model, image_of(3, 16, 16), Target("0", 2), quantiles=quantiles)
