"""What is natural about an image set."""

import numpy as np
import pytest
import torch
from PIL import Image

import lurk
from lurk.errors import ImagesError, LurkError
from lurk.images.image_set import ImageSet
from lurk.methods.feature_vis.image_spectrum import SAMPLE, frequencies, natural_spectrum, spectrum_of
from tests.methods.networks import network
from tests.reference import PHOTOS


def test_frequencies_are_in_cycles_per_pixel():
    found = frequencies(4, 5)
    assert found.shape == (4, 3)
    assert torch.allclose(found[2, 1], torch.tensor(0.25 + 0.04).sqrt())
    assert found[0, 0] == 0


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_the_mix_is_a_root_of_the_covariance_of_colours(channels):
    chance = torch.Generator().manual_seed(0)
    values = torch.randn(20, channels, 8, 10, generator=chance)
    values = torch.einsum("dc,nchw->ndhw", torch.randn(channels, channels, generator=chance) * 0.4, values) + 0.3
    found = spectrum_of(values.sigmoid())
    flat = torch.logit(values.sigmoid(), eps=0.02).transpose(0, 1).reshape(channels, -1)
    assert torch.allclose(found.centre, flat.mean(1), atol=1e-5)
    assert torch.allclose(found.mix @ found.mix.T, torch.cov(flat, correction=0).view(channels, channels), atol=1e-4)


def test_the_magnitude_is_the_mean_over_images():
    """Grey pictures: one colour, so the waves are those of the values divided by their deviation."""
    values = torch.randn(5, 1, 6, 9, generator=torch.Generator().manual_seed(0)) * 0.5
    found = spectrum_of(values.sigmoid())
    expected = np.abs(np.fft.rfft2(((values - values.mean()) / values.std(correction=0)).numpy(), norm="ortho")).mean(0)
    expected[:, 0, 0] = 0
    assert np.allclose(found.magnitude.numpy(), expected, atol=1e-3)


def test_a_spectrum_of_another_size_keeps_wavelengths_in_pixels():
    found = spectrum_of(torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0)))
    assert found.resized((16, 16)) is found
    frequency = frequencies(16, 16).expand(3, -1, -1).clone()
    ramp = type(found)(frequency, found.mix, found.centre, (16, 16)).resized((40, 30))
    assert ramp.magnitude.shape == (3, 40, 16)
    assert float((ramp.magnitude[0] - frequencies(40, 30)).abs().max()) < 0.08


def image_set(reader, count=6, name="made"):
    numbers = tuple(range(count))
    names = tuple(f"{number:04}" for number in numbers)
    return ImageSet(name, names, (None,) * count, None, reader, tuple(f"{name}{n}" for n in names), numbers)


def painted(number):
    samples = np.random.default_rng(number).integers(0, 255, (20, 20, 3), dtype=np.uint8)
    return Image.fromarray(samples)


def test_images_are_read_once_and_those_that_cannot_be_are_left_out():
    model, read = network("plain"), []

    def reader(number):
        read.append(number)
        if number == 2:
            raise ImagesError("damaged")
        return painted(number)

    images = image_set(reader, name="once")
    first = natural_spectrum(images, model)
    assert read == [0, 1, 2, 3, 4, 5]
    assert natural_spectrum(images, model) is first
    assert len(read) == 6
    expected = spectrum_of(
        model.displayed(torch.stack([model.preprocess(painted(number)) for number in (0, 1, 3, 4, 5)]))
    )
    assert torch.allclose(first.magnitude, expected.magnitude, atol=1e-5)
    natural_spectrum(image_set(reader, name="twice"), model)
    assert len(read) == 12


def test_a_large_image_set_is_sampled_evenly():
    read = []

    def reader(number):
        read.append(number)
        return painted(number % 3)

    natural_spectrum(image_set(reader, 3 * SAMPLE, "large"), network("plain"))
    assert SAMPLE == 200
    assert read == list(range(0, 600, 3))


def test_an_image_set_that_cannot_be_read_is_named():
    def reader(_number):
        raise ImagesError("damaged")

    with pytest.raises(LurkError, match="no image of broken can be read"):
        natural_spectrum(image_set(reader, name="broken"), network("plain"))


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="the 400 photographs are not beside this checkout")
def test_photographs_have_more_of_long_waves():
    found = natural_spectrum(lurk.load_images(PHOTOS, sample=1), network("plain")).magnitude.mean(0)
    near, far = found[frequencies(16, 16) < 0.15], found[frequencies(16, 16) > 0.4]
    assert float(near.mean()) > 3 * float(far.mean())
