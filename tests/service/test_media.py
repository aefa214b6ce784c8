import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from lurk.jobs.method_request import preview_key
from lurk.service import media
from lurk.service.grid_view import grid
from lurk.service.unit_view import UnitView
from lurk.service.urls import MEDIA, read_media
from lurk.storage.index import Index
from lurk.storage.index_writer import write_index
from lurk.storage.render_store import open_renders
from lurk.storage.webp import decode_view, encode_view
from tests.conftest import make_manifest, make_statistics

IMAGES = [(f"{number}.png", number % 2) for number in range(6)]


@pytest.fixture
def renders(tmp_path):
    return open_renders(tmp_path)


def drawn(index, url, renders):
    """The image of an address, or of what follows the index's key in one."""
    address = read_media(url.removeprefix(MEDIA) if url.startswith(MEDIA) else f"{index.key}/{url}")
    return address and media.draw(index, address, renders)


def test_view_and_patch_of_a_hit(toy_index, renders):
    hit = UnitView(toy_index, "conv", 0).hits("max")[0]
    body = drawn(toy_index, hit["view_url"], renders)
    assert (decode_view(body, 3) == 10 * hit["image"]).all()
    body = drawn(toy_index, hit["patch_url"], renders)
    with Image.open(io.BytesIO(body)) as picture:
        assert picture.width % 3 == 0


def test_a_sprite_is_drawn_once_and_then_kept(toy_index, renders, monkeypatch):
    url = grid(toy_index, "conv")["sprites"][0]
    first = drawn(toy_index, url, renders)
    monkeypatch.setattr(media, "draw_sprites", lambda *_: pytest.fail("drawn again"))
    assert drawn(toy_index, url, renders) == first


def test_a_sprite_shows_the_best_image_of_each_unit(toy_index, renders):
    body = drawn(toy_index, grid(toy_index, "fc")["sprites"][0], renders)
    with Image.open(io.BytesIO(body)) as picture:
        pixels = np.asarray(picture.convert("L"), int)
    for unit, image in enumerate(toy_index.best("fc").image):
        assert abs(pixels[32, 64 * unit + 32] - 10 * image) <= 4


@pytest.mark.parametrize(
    "key",
    [
        "",
        "view/99",
        "view/-1",
        "view/../../manifest.json",
        "patch/0/0_0_0_0",
        "patch/0/5_5_1_1",
        "patch/0/0_0_99999_99999",
        "patch/0/a_b_c_d",
        "sprite/0/0/" + "0" * 32,
        "sprite/9/0/" + "0" * 32,
        "sprite/0/999/" + "0" * 32,
        "other/1",
    ],
)
def test_what_is_not_there_is_none(toy_index, renders, key):
    assert drawn(toy_index, key, renders) is None


@pytest.fixture
def bands(tmp_path):
    """An index of images with six channels: channel c of image i is 40 * c + i everywhere."""
    with write_index(tmp_path / "bands", make_manifest(input_shape=(6, 8, 8), channels=6), IMAGES) as writer:
        statistics, _ = make_statistics()
        for image in range(6):
            writer.put_view(image, encode_view(np.full((8, 8, 6), 40 * np.arange(6) + image, np.uint8)))
        writer.finish(statistics.state(), done=6, skipped=())
        return Index(writer.folder)


def colour(body):
    with Image.open(io.BytesIO(body)) as picture:
        return np.asarray(picture)[picture.height // 2, picture.width // 2].tolist()


def test_of_many_channels_the_chosen_ones_are_shown(bands, renders):
    assert colour(drawn(bands, "view/2", renders)) == [2, 42, 82]
    assert colour(drawn(bands, "view/2/c/5-0-3", renders)) == [202, 2, 122]
    assert colour(drawn(bands, "view/2/c/4", renders)) == [162, 162, 162]
    assert colour(drawn(bands, "patch/2/0_0_3_3/c/4", renders)) == pytest.approx([162] * 3, abs=4)


def test_the_tiles_of_the_grid_are_in_the_chosen_channels_and_each_choice_is_kept_for_itself(bands, renders):
    plain = read_media(grid(bands, "fc")["sprites"][0].removeprefix(MEDIA))
    chosen = [dataclasses.replace(plain, channels=channels) for channels in ((), (5,), (1,), ())]
    greys = [np.asarray(Image.open(io.BytesIO(media.draw(bands, one, renders))))[32, 32] for one in chosen]
    best = int(bands.best("fc").image[0])
    assert greys[1].tolist() == pytest.approx([200 + best] * 3, abs=4)
    assert greys[2].tolist() == pytest.approx([40 + best] * 3, abs=4)
    assert np.array_equal(greys[0], greys[3])


@pytest.mark.parametrize("url", ["view/2/c/6", "view/2/c/0-1-6", "patch/2/0_0_3_3/c/9"])
def test_channels_that_an_image_does_not_have_show_nothing(bands, renders, url):
    assert drawn(bands, url, renders) is None


def test_a_picture_under_way_is_shown_in_the_chosen_channels(renders):
    bands = np.full((8, 8, 6), 40 * np.arange(6), np.uint8)
    for key, view in {"a" * 32: bands, "b" * 32: bands[:, :, :3]}.items():
        renders.put(preview_key(key), encode_view(view))
        assert colour(media.draw_preview(key, renders)) == [0, 40, 80]
        assert colour(media.draw_preview(f"{key}/c/2", renders)) == [80, 80, 80]
        assert media.draw_preview(f"{key}/c/6", renders) is None
    assert colour(media.draw_preview(f"{'a' * 32}/c/5-0-3", renders)) == [200, 0, 120]
    assert media.draw_preview("c" * 32, renders) is None
    assert media.draw_preview(f"{'a' * 32}/c/x", renders) is None


def test_a_colour_image_too_shows_a_channel_alone(toy_index, renders):
    assert drawn(toy_index, "view/2/c/1", renders) is not None
    assert drawn(toy_index, "view/2/c/3", renders) is None
