import io

import numpy as np
import pytest
from PIL import Image

from lurk.storage.webp import (
    PADDING_GREY,
    decode_view,
    encode_patch,
    encode_sprite,
    encode_view,
    patch,
    shown_box,
    thumbnail,
    to_view,
)


def random_view(side: int = 32, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (side, side, channels), dtype=np.uint8)


def test_samples_become_8_bits_and_what_is_beyond_is_cut():
    samples = np.arange(256, dtype=np.float32).reshape(1, 16, 16).repeat(3, 0) / 255
    assert np.array_equal(to_view(samples)[:, :, 1].ravel(), np.arange(256))
    assert to_view(np.array([[[-2.0, 0.5, 2.0]]], np.float32)).ravel().tolist() == [0, 128, 255]


def test_of_two_channels_the_first_is_shown_and_of_five_the_first_three():
    samples = np.arange(5, dtype=np.float32).reshape(5, 1, 1) / 255
    assert to_view(samples[:2]).tolist() == [[[0]]]
    assert to_view(samples).tolist() == [[[0, 1, 2]]]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_view_is_kept_without_loss(channels):
    view = random_view(channels=channels)
    assert np.array_equal(decode_view(encode_view(view), channels), view)


def test_a_patch_is_cut_exactly():
    view = random_view()
    assert np.array_equal(patch(view, (3, 5, 10, 9)), view[3:10, 5:9])


def test_outside_of_the_view_a_patch_is_grey():
    view = random_view()
    cut = patch(view, (-2, 30, 5, 37))
    assert cut.shape == (7, 7, 3)
    assert (cut[:2] == PADDING_GREY).all()
    assert (cut[:, 2:] == PADDING_GREY).all()
    assert np.array_equal(cut[2:, :2], view[:5, 30:])


def test_a_box_longer_than_the_view_is_cut_to_it():
    assert shown_box((-100, -5, 335, 2), 32, 32) == (0, -5, 32, 2)
    assert patch(random_view(), (-100, -100, 335, 335)).shape == (32, 32, 3)


def test_a_box_wholly_outside_is_all_grey():
    assert (patch(random_view(), (-9, -9, -2, -2)) == PADDING_GREY).all()


def test_small_patches_are_enlarged_by_a_whole_number():
    with Image.open(io.BytesIO(encode_patch(random_view(7)))) as picture:
        assert picture.size == (98, 98)


def test_thumbnail_keeps_proportions():
    tile = thumbnail(np.zeros((10, 40, 3), np.uint8), 64)
    assert tile.shape == (64, 64, 3)
    assert (tile[:20] == PADDING_GREY).all()
    assert (tile[26:38] == 0).all()


def test_sprite_lays_tiles_out_row_by_row():
    tiles = [np.full((8, 8, 3), 40 * i, np.uint8) for i in range(5)]
    with Image.open(io.BytesIO(encode_sprite([*tiles, None], 8, 4))) as picture:
        assert picture.size == (32, 16)
        assert abs(picture.getpixel((28, 4))[0] - 120) < 6
        assert abs(picture.getpixel((4, 12))[0] - 160) < 6
