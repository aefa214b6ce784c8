"""Display modes against what they are defined to show, on maps whose colours are known."""

import numpy as np
import pytest
from plotly.colors import sample_colorscale
from scipy.ndimage import gaussian_filter

from lurk.service.colormaps import BOOSTS, GAMMAS, MODES, boosted, colour_map, in_channels, scale


def colour(name: str, share: float) -> np.ndarray:
    return np.rint(np.array(sample_colorscale(name, [share], colortype="tuple")[0]) * 255)


def test_raw_shows_channels_as_colours_with_0_grey():
    values = np.zeros((3, 1, 3), np.float32)
    values[:, 0, 1], values[:, 0, 2] = (1, 0, -1), (-1, -1, -1)
    picture = colour_map(values, "raw")
    assert picture[0, 0].tolist() == [128, 128, 128]
    assert picture[0, 1].tolist() == [255, 128, 0]
    assert picture[0, 2].tolist() == [0, 0, 0]


def test_grey_shows_the_mean_of_the_channels():
    values = np.array([[[1.0, -1.0, 0.0]], [[1.0, -1.0, 0.0]], [[-1.0, 1.0, 0.0]]], np.float32)
    assert colour_map(values, "grey")[0, :, 0].tolist() == [255, 0, 128]


def test_norm_shows_the_length_of_the_vector_of_channels():
    values = np.array([[[3.0, 0.0]], [[4.0, 0.0]]], np.float32)
    assert scale(values, "norm")[0] == 0
    assert scale(values, "norm")[1] == pytest.approx(5, rel=0.01)
    picture = colour_map(values, "norm")
    assert np.array_equal(picture[0, 0], colour("Cividis", 1))
    assert np.array_equal(picture[0, 1], colour("Cividis", 0))


def test_signs_are_centred_on_0_whatever_the_range():
    values = np.array([[[10.0, 0.0, -1.0]]], np.float32)
    picture = colour_map(values, "signs")
    assert np.array_equal(picture[0, 0], colour("RdBu_r", 1))
    assert np.abs(picture[0, 1].astype(int) - colour("RdBu_r", 0.5)).max() <= 1
    low, high = scale(values, "signs")
    assert low == -high
    red, _, blue = picture[0, 2].astype(int)
    assert blue > red, "a negative value is blue"


def test_blurred_is_the_norm_under_a_gaussian_of_4_pixels():
    values = np.zeros((3, 41, 41), np.float32)
    values[:, 20, 20] = 1
    expected = gaussian_filter(np.sqrt((values**2).sum(0)), 4.0, mode="nearest")
    assert scale(values, "blurred")[1] == pytest.approx(np.percentile(expected, 99.5), rel=1e-3)


def test_an_overlay_is_transparent_where_nothing_is():
    values = np.zeros((3, 64, 64), np.float32)
    values[:, 10:20, 10:20] = 1
    picture = colour_map(values, "overlay")
    assert picture.shape == (64, 64, 4)
    assert picture[60, 60, 3] == 0
    assert picture[15, 15, 3] == 255


def test_boost_brings_channels_to_the_same_magnitude_and_keeps_signs():
    values = np.stack([np.full((2, 2), 4.0), np.full((2, 2), -1.0), np.zeros((2, 2))]).astype(np.float32)
    assert np.array_equal(boosted(values, 0), values)
    assert np.abs(boosted(values, 1)).reshape(3, -1).max(1) == pytest.approx([4, 4, 0])
    assert (boosted(values, 1)[1] < 0).all()
    assert np.abs(boosted(values, 0.5))[1].max() == pytest.approx(2)


def test_gamma_brings_out_small_values():
    values = np.array([[[1.0, 0.1]]], np.float32)
    assert colour_map(values, "grey", gamma=0.3)[0, 1, 0] > colour_map(values, "grey", gamma=1)[0, 1, 0] > 127


def test_one_pixel_does_not_darken_the_rest():
    values = np.full((1, 100, 100), 1.0, np.float32)
    values[0, 0, 0] = 1e6
    assert scale(values, "norm")[1] == pytest.approx(1)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_every_mode_draws_every_number_of_channels(mode, channels):
    values = np.random.default_rng(0).normal(size=(channels, 9, 13)).astype(np.float32)
    for boost in BOOSTS:
        for gamma in GAMMAS:
            picture = colour_map(values, mode, float(boost), float(gamma))
            assert picture.shape == (9, 13, 4 if mode == "overlay" else 3)
            assert picture.dtype == np.uint8


@pytest.mark.parametrize("mode", MODES)
def test_a_map_of_nothing_is_drawn_as_nothing(mode):
    picture = colour_map(np.zeros((3, 8, 8), np.float32), mode)
    assert len(np.unique(picture.reshape(-1, picture.shape[2]), axis=0)) == 1
    assert scale(np.zeros((3, 8, 8), np.float32), mode) in ((0.0, 0.0), (-0.0, 0.0))


def test_one_channel_of_a_map_is_drawn_alone_and_three_only_as_colours():
    values = np.arange(6, dtype=np.float32)[:, None, None] * np.ones((6, 2, 2), np.float32)
    assert in_channels(values, (4,), "norm").tolist() == values[4:5].tolist()
    assert in_channels(values, (5, 0, 2), "raw")[:, 0, 0].tolist() == [5, 0, 2]
    assert in_channels(values, (5, 0, 2), "norm") is values
    assert in_channels(values, (), "raw") is values
