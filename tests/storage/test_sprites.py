import io

import numpy as np
import pytest
from PIL import Image

from lurk.storage import sprites as module
from lurk.storage.render_store import open_renders
from lurk.storage.sprites import COLUMNS, PER_SPRITE, TILE, draw_ahead, draw_sprites, sprites
from lurk.storage.webp import decode_view, encode_sprite, patch, thumbnail


@pytest.fixture
def renders(tmp_path):
    return open_renders(tmp_path)


def test_content_changes_with_what_is_on_a_sprite_only(toy_index):
    assert sprites(toy_index, "conv") == sprites(toy_index, "conv")
    assert sprites(toy_index, "conv")[0].content != sprites(toy_index, "fc")[0].content
    assert PER_SPRITE == 256


def test_a_layer_has_a_sprite_for_each_256_units(toy_index, monkeypatch):
    monkeypatch.setattr(module, "PER_SPRITE", 2)
    found = sprites(toy_index, "conv")
    assert [(one.layer, one.page, len(one.boxes)) for one in found] == [(0, 0, 2), (0, 1, 1)]
    assert found[0].boxes + found[1].boxes == tuple(
        None if image < 0 else (image, toy_index.layer("conv").box(row, col, toy_index.manifest.input_shape[1:]))
        for image, row, col in zip(
            *(getattr(toy_index.best("conv"), part) for part in ("image", "row", "col")), strict=True
        )
    )


def slowly(index, sprite):
    """The sprite, its tiles cut one by one."""
    tiles = [
        None if one is None else thumbnail(patch(decode_view(index.view_file(one[0]).read_bytes(), 3), one[1]), TILE)
        for one in sprite.boxes
    ]
    return encode_sprite(tiles, TILE, COLUMNS)


def test_sprites_drawn_at_once_are_those_drawn_one_by_one(toy_index):
    wanted = [*sprites(toy_index, "conv"), *sprites(toy_index, "fc")]
    assert draw_sprites(toy_index, wanted) == [slowly(toy_index, one) for one in wanted]


def test_the_place_of_a_lost_view_is_empty(toy_index):
    sprite = sprites(toy_index, "fc")[0]
    lost = sprite.boxes[0][0]
    toy_index.view_file(lost).write_bytes(b"no image")
    with Image.open(io.BytesIO(draw_sprites(toy_index, [sprite])[0])) as picture:
        assert picture.format == "JPEG"
        pixels = np.asarray(picture.convert("L"), int)
    for place, (image, _) in enumerate(sprite.boxes):
        assert abs(pixels[32, 64 * place + 32] - (128 if image == lost else 10 * image)) <= 4


def test_what_is_drawn_ahead_is_kept_and_drawn_once(toy_index, renders, monkeypatch):
    calls = []
    draw_ahead(toy_index, renders, 60, lambda: calls.append(1))
    assert calls
    for layer in toy_index.layers:
        for one in sprites(toy_index, layer.name):
            assert renders.get(one.key(toy_index)) == slowly(toy_index, one)
    monkeypatch.setattr(module, "draw_sprites", lambda *_, **__: pytest.fail("drawn again"))
    draw_ahead(toy_index, renders, 60)


def test_nothing_is_drawn_ahead_after_its_time(toy_index, renders):
    draw_ahead(toy_index, renders, -1, lambda: pytest.fail("drawn"))


def test_drawing_ahead_can_be_stopped(toy_index, renders):
    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw_ahead(toy_index, renders, 60, stop)
