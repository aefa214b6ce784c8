import io

import numpy as np
import pytest
from PIL import Image

from lurk.storage.webp import (
    PADDING_GREY,
    decode_view,
    encode_patch,
    encode_png,
    encode_sprite,
    encode_view,
    is_sheet,
    patch,
    shown,
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


def test_all_channels_are_kept_and_by_default_the_first_or_the_first_three_are_shown():
    samples = np.arange(5, dtype=np.float32).reshape(5, 1, 1) / 255
    assert to_view(samples).tolist() == [[[0, 1, 2, 3, 4]]]
    assert shown(to_view(samples[:2])).tolist() == [[[0]]]
    assert shown(to_view(samples)).tolist() == [[[0, 1, 2]]]
    assert shown(to_view(samples), (4, 0, 4)).tolist() == [[[4, 0, 4]]]
    assert shown(to_view(samples), (3,)).tolist() == [[[3]]]
    for absent in ((5,), (0, 1, 9)):
        with pytest.raises(ValueError, match="has no channels"):
            shown(to_view(samples), absent)


@pytest.mark.parametrize("channels", range(1, 25))
def test_a_view_of_any_number_of_channels_is_read_back_to_the_bit(channels):
    view = np.random.default_rng(channels).integers(0, 256, (5, 7, channels), np.uint8)
    data = encode_view(view)
    assert np.array_equal(decode_view(data, channels), view)
    assert is_sheet(data) is (channels not in (1, 3))


def test_four_channels_are_not_taken_for_colours_with_opacity():
    view = np.zeros((4, 4, 4), np.uint8)
    view[..., :3] = 200
    for data in (encode_patch(view), encode_view(shown(view))):
        with Image.open(io.BytesIO(data)) as picture:
            assert picture.mode == "RGB"
            assert abs(np.asarray(picture).astype(int) - 200).max() <= 3


def test_other_programs_get_the_channels_side_by_side():
    view = np.arange(2 * 3 * 5, dtype=np.uint8).reshape(2, 3, 5)
    with Image.open(io.BytesIO(encode_png(view))) as picture:
        found = np.asarray(picture.convert("L"))
    assert found.shape == (2 * 2, 3 * 3)  # two rows of three planes, the last place empty
    assert np.array_equal(found[:2, 3:6], view[..., 1])
    assert np.array_equal(found[2:, 3:6], view[..., 4])
    assert not found[2:, 6:].any()


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
