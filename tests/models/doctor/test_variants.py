import pytest
import torch
from PIL import Image
from torch import nn

import lurk
from lurk.models.doctor.variants import prepare, variants
from lurk.models.preprocess import Preprocess

PICTURE = Image.linear_gradient("L").resize((80, 60)).convert("RGB")


def model(preprocess, channels=3) -> lurk.Model:
    return lurk.load_model(nn.Sequential(nn.Conv2d(channels, 2, 3)), preprocess=preprocess)


def names(one: lurk.Model, of: str) -> list[str]:
    return [variant.name for variant in variants(one) if variant.of == of]


@pytest.mark.parametrize("std", [0.5, 128 / 255])
def test_what_is_the_same_to_a_network_is_not_tried(std):
    found = names(model(Preprocess(32, (32, 32), mean=(1 - std,) * 3, std=(std,) * 3)), "colours")
    assert "mean 0.5 and deviation 0.5" not in found
    assert "ImageNet's mean and deviation" in found
    assert "red and blue exchanged" in found
    assert "mean 0.5 and deviation 0.5, in the order blue, green, red" not in found


def test_a_colour_variant_is_the_picture_of_the_model_in_other_numbers():
    own = Preprocess(32, (24, 32))
    found = {variant.name: variant for variant in variants(model(own))}
    plain = Preprocess(32, (24, 32), mean=(0.0,) * 3, std=(1.0,) * 3)(PICTURE)
    (given,) = prepare([found["samples from 0 to 255 as they are"]], PICTURE)
    assert torch.allclose(given, plain * 255, atol=1e-3)
    (swapped,) = prepare([found["red and blue exchanged"]], PICTURE)
    assert torch.allclose(swapped[0] * 0.229 + 0.485, plain[2], atol=1e-5)


def test_a_variant_of_size_has_the_models_own_normalisation():
    found = {variant.name: variant for variant in variants(model(Preprocess(40, (24, 32))))}
    (given,) = prepare([found["the shorter side resized to 37 (bicubic) and the centre cropped"]], PICTURE)
    assert torch.allclose(given, Preprocess(37, (24, 32), "bicubic")(PICTURE), atol=1e-5)
    (cut,) = prepare([found["the centre cropped from the picture as it is"]], PICTURE)
    assert torch.allclose(cut, Preprocess(60, (24, 32))(PICTURE), atol=1e-5)


def test_every_variant_has_the_shape_of_the_input():
    for one in (
        model(Preprocess(32, (24, 32))),
        model(Preprocess(32, (24, 32), mean=(0.5,), std=(0.5,), channels=1), 1),
        model(lambda image: Preprocess(32, (24, 32))(image.convert("L").convert("RGB"))),
        model(lambda image: Preprocess(32, (24, 32))(image).clamp(-1, 1)),
    ):
        chosen = variants(one)
        assert len(chosen) > 3
        assert {tuple(given.shape) for given in prepare(chosen, PICTURE)} == {one.input_shape}
