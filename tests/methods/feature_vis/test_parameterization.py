"""What a picture is while it is drawn."""

import math

import pytest
import torch

from lurk.methods.feature_vis.parameterization import Fourier, Phases, Pixels, add_noise, mix_channels, picture_size


def noise(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [(8, 8), (9, 7), (6, 11), (1, 5)])
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_waves_hold_any_picture_of_any_size_and_number_of_channels(size, channels):
    start = noise(2, channels, *size) * 0.9 + 0.05
    assert torch.allclose(Fourier(start).pictures(), start, atol=1e-5)


def test_waves_are_weighed_by_their_wavelength():
    """One wave of an odd, non-square picture, written out as a cosine."""
    height, width, down, across = 6, 9, 2, 3
    canvas = Fourier(torch.full((1, 1, height, width), 0.5))
    assert not canvas.parameter.any()
    with torch.no_grad():
        canvas.parameter[0, 0, down, across, 0] = 5.0
    weight = 1 / math.hypot(down / height, across / width)
    rows, cols = torch.arange(height)[:, None], torch.arange(width)[None]
    wave = torch.cos(2 * math.pi * (down * rows / height + across * cols / width))
    values = 2 * 5 * weight * wave / math.sqrt(height * width) / 4
    assert torch.allclose(canvas.pictures()[0, 0], values.sigmoid(), atol=1e-6)


def test_colours_are_mixed_as_published():
    """Each of the independent values alone; the matrix in its normalised, transposed form."""
    canvas = Fourier(torch.full((1, 3, 4, 4), 0.5))
    published = torch.tensor([[0.5628, 0.5845, 0.5845], [0.1948, 0, -0.1948], [0.0433, -0.1082, 0.0649]])
    for at in range(3):
        with torch.no_grad():
            canvas.parameter.zero_()
            canvas.parameter[0, at, 0, 0, 0] = 1.0
        values = torch.logit(canvas.pictures()[0, :, 0, 0])
        value = 4 / math.sqrt(16) / 4  # the longest wave's weight is the longer side
        assert torch.allclose(values, published[at] * value, atol=1e-4)


def test_pixels_are_cut_to_their_range():
    canvas = Pixels(noise(1, 3, 4, 4))
    with torch.no_grad():
        canvas.parameter += 1
    canvas.project()
    assert torch.equal(canvas.pictures(), torch.ones(1, 3, 4, 4))


@pytest.mark.parametrize("kind", [Pixels, Fourier])
def test_a_picture_that_is_written_is_there(kind):
    canvas, other = kind(noise(1, 3, 5, 6)), noise(1, 3, 5, 6, seed=1) * 0.9 + 0.05
    canvas.write(other)
    assert torch.allclose(canvas.pictures(), other, atol=1e-5)
    assert canvas.parameter.requires_grad


def test_noise_is_the_same_for_each_unit_and_differs_between_its_pictures():
    parameter = torch.zeros(6, 3, 4)
    add_noise(parameter, 0.5, 7, 2)
    assert torch.equal(parameter[:2], parameter[2:4])
    assert torch.equal(parameter[:2], parameter[4:])
    assert not torch.equal(parameter[0], parameter[1])
    again = torch.zeros(2, 3, 4)
    add_noise(again, 0.5, 7, 2)
    assert torch.equal(again, parameter[:2])


def test_sides_keep_the_proportion():
    assert picture_size((12, 20), 0) == (12, 20)
    assert picture_size((12, 20), 6) == (6, 10)
    assert picture_size((224, 224), 128) == (128, 128)


def test_phases_change_the_places_of_waves_and_not_their_magnitude():
    magnitude = noise(3, 6, 5) + 0.1
    magnitude[:, 0, 0] = 0
    mix, centre = torch.eye(3) * 0.2 + 0.05, torch.tensor([0.1, -0.2, 0.3])
    start = torch.randn(2, 3, 6, 5, generator=torch.Generator().manual_seed(0))
    canvas = Phases(magnitude, mix, centre, (6, 8), start)
    values = torch.logit(canvas.pictures().detach()) - centre.view(-1, 1, 1)
    assert torch.allclose(values.mean((2, 3)), torch.zeros(2, 3), atol=1e-5)
    waves = torch.fft.rfft2(mix_channels(values, torch.linalg.inv(mix)), norm="ortho")
    inner = slice(1, 4)  # the first and last column hold waves twice, which add up
    assert torch.allclose(waves.abs()[..., inner], magnitude[None, ..., inner].expand(2, -1, -1, -1), atol=1e-3)
    assert not torch.allclose(waves[0].angle(), waves[1].angle(), atol=0.1)


def test_phases_take_those_of_a_picture():
    magnitude = torch.ones(1, 8, 5)
    magnitude[:, 0, 0] = 0
    canvas = Phases(magnitude, torch.eye(1), torch.zeros(1), (8, 8), torch.zeros(1, 1, 8, 5))
    canvas.write(noise(1, 1, 8, 8))
    wanted = torch.fft.rfft2(torch.logit(noise(1, 1, 8, 8), eps=0.01), norm="ortho").angle()
    assert torch.allclose(canvas.parameter, wanted, atol=1e-4)
