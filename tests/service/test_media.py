import io

import numpy as np
import pytest
from PIL import Image

from lurk.service import media
from lurk.service.grid_view import grid
from lurk.service.unit_view import UnitView
from lurk.service.urls import MEDIA, read_media
from lurk.storage.render_store import open_renders
from lurk.storage.webp import decode_view


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
    monkeypatch.setattr(media, "encode_sprite", lambda *_: pytest.fail("drawn again"))
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
