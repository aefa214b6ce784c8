"""Pictures made of natural waves."""

import pytest
import torch

from lurk.errors import LurkError
from lurk.methods.feature_vis.image_spectrum import natural_spectrum
from lurk.methods.maco import _Crops
from tests.methods.drawing import draw, reached
from tests.methods.feature_vis.test_image_spectrum import image_set, painted
from tests.methods.networks import network

LAYER = "3"


@pytest.fixture(scope="module")
def images():
    return image_set(painted, name="for maco")


def test_a_picture_has_the_magnitudes_of_the_image_set(images):
    model = network("plain")
    found = draw("maco", model, LAYER, (1, 2), images=images, steps=5, size=16).pictures
    natural = natural_spectrum(images, model)
    values = torch.logit(found.double(), eps=1e-12) - natural.centre.view(-1, 1, 1)
    apart = torch.einsum("dc,fchw->fdhw", torch.linalg.inv(natural.mix.double()), values)
    waves = torch.fft.rfft2(apart, norm="ortho").abs()[..., 1:8]
    assert torch.allclose(waves, natural.magnitude[None, :, :, 1:8].double().expand_as(waves), rtol=0.02, atol=0.01)


def test_the_unit_answers_more_with_more_steps_and_its_opacity_says_where(images):
    model = network("plain")
    shown = []
    few, many = (
        draw(
            "maco", model, LAYER, (1, 3), images=images, steps=steps, size=16, smallest=0.9, largest=1.0, noise=0,
            show=lambda done, total, pictures: shown.append((done, total)),
        )
        for steps in (1, 40)
    )  # fmt: skip
    for at, unit in enumerate((1, 3)):
        before, after = (float(reached(model, LAYER, one.pictures)[at, unit].mean()) for one in (few, many))
        assert after > before
    assert many.opacity is not None
    assert many.opacity.shape == (2, 16, 16)
    assert float(many.opacity.min()) >= 0
    assert (many.opacity == 1).float().mean((1, 2)) == pytest.approx(0.2, abs=0.05)
    assert shown[-1] == (40, 40)


def test_the_same_parts_of_all_pictures_are_shown():
    pictures = torch.rand(2, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    crops = _Crops((8, 8), 3, (0.3, 0.6), 0.1)
    together = crops(pictures, torch.Generator().manual_seed(1))
    alone = crops(pictures[1:], torch.Generator().manual_seed(1))
    assert together.shape == (6, 1, 8, 8)
    assert torch.allclose(together[3:], alone, atol=1e-6)


def test_the_same_request_gives_the_same_picture(images):
    one, two = (draw("maco", network("plain"), LAYER, (0,), images=images, steps=3).pictures for _ in range(2))
    assert one.shape == (1, 3, 32, 32)
    assert torch.equal(one, two)


def test_images_must_be_there():
    with pytest.raises(LurkError, match="give one"):
        draw("maco", network("plain"), LAYER, (0,))
