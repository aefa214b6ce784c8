from dataclasses import replace

import pytest
import torch
from torch import nn

import lurk
from lurk.errors import LurkError
from lurk.methods import METHODS
from lurk.methods.attribution.target import Target
from lurk.models.preprocess import Preprocess
from tests.methods.family import Functional, ask, image_of, model_of, seeded, small


@pytest.mark.parametrize("rule", ["epsilon", "gamma", "composite"])
@pytest.mark.parametrize("first", ["same", "flat"])
def test_values_add_up_to_the_target_without_biases(rule, first):
    model, image = model_of(lambda: Functional(False)), image_of(3, 16, 16)
    found = ask("lrp", model, image, Target("three", 2, "class", label=1), rule=rule, first=first).values
    assert found.dtype == torch.float32
    assert float(found.sum()) == pytest.approx(float(model.module(image[None])[0, 1].detach()), rel=0.01)


def test_the_box_rule_needs_the_bounds_of_a_pixel():
    preprocess = Preprocess(16, (16, 16), "bilinear", (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), 3)
    model = lurk.load_model(seeded(lambda: Functional(False)), preprocess=preprocess)
    found = ask("lrp", model, image_of(3, 16, 16).clamp(-2.4, 2.4), Target("two", 3, "map"), first="box").values
    same = ask("lrp", model, image_of(3, 16, 16).clamp(-2.4, 2.4), Target("two", 3, "map")).values
    assert float(found.sum()) == pytest.approx(float(same.sum()), rel=0.01)
    assert not torch.allclose(found, same)
    bare = model_of(small)
    bare.normalisation = replace(bare.normalisation, problem="none")
    with pytest.raises(LurkError, match="first=box needs the bounds of a pixel"):
        ask("lrp", bare, image_of(3, 16, 16), Target("3", 3), first="box")


def test_refused_where_neither_the_last_nor_the_first_layer_can_be_explained():
    class Exponential(nn.Module):
        def forward(self, x):
            return x.exp()

    refuse = METHODS["lrp"].refuse
    first = model_of(lambda: nn.Sequential(Exponential(), nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)))
    later = model_of(lambda: nn.Sequential(nn.Conv2d(3, 4, 3), Exponential(), nn.Conv2d(4, 4, 3)))
    assert refuse(first.plan()) == "there is no rule for its operation Exp"
    assert refuse(later.plan()) == ""
    with pytest.raises(LurkError, match=r"relevance cannot be had for this target: there is no rule .* Exp"):
        ask("lrp", later, image_of(3, 16, 16), Target("2", 1))
    assert ask("lrp", later, image_of(3, 16, 16), Target("0", 1)).values.shape == (3, 16, 16)


def test_defaults():
    assert METHODS["lrp"].spec.read({}) == {"rule": "composite", "first": "same", "epsilon": 1e-6, "gamma": 0.25}
