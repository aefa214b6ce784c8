"""Addresses of images: whatever is written is read back, and nothing else is read."""

import pytest

from lurk.service.urls import (
    MEDIA,
    Media,
    in_channels,
    map_url,
    opacity_url,
    patch_url,
    picture_url,
    preview_url,
    read_media,
    sprite_url,
    tile_url,
    view_url,
)

INDEX, RESULT = "0a" * 16, "1b" * 16


@pytest.mark.parametrize(
    ("url", "kind", "parts"),
    [
        (view_url(INDEX, 12), "view", ("12",)),
        (patch_url(INDEX, 12, (-3, 0, 16, 19)), "patch", ("12", "-3", "0", "16", "19")),
        (sprite_url(INDEX, 7, 1, "2c" * 16), "sprite", ("7", "1", "2c" * 16)),
        (picture_url(INDEX, RESULT), "picture", (RESULT, "0")),
        (picture_url(INDEX, RESULT, 3), "picture", (RESULT, "3")),
        (tile_url(INDEX, RESULT), "tile", (RESULT, "0")),
        (opacity_url(INDEX, RESULT, 3), "opacity", (RESULT, "3")),
        (map_url(INDEX, RESULT).format(mode="signs", boost="0.5", gamma="1"), "map", (RESULT, "signs", "0.5", "1")),
    ],
)
def test_every_address_is_read_back_as_it_was_written(url, kind, parts):
    assert url.startswith(MEDIA)
    assert read_media(url.removeprefix(MEDIA)) == Media(INDEX, kind, parts)


@pytest.mark.parametrize(
    "key",
    [
        "",
        INDEX,
        f"{INDEX}/view/",
        f"{INDEX}/view/-1",
        f"{INDEX}/view/1/2",
        f"{INDEX}/picture/{RESULT}",
        f"{INDEX}/picture/{RESULT}/0/sprite",
        f"{INDEX}/map/{RESULT}/signs/0.4/1",
        f"{INDEX}/map/{RESULT}/{{mode}}/{{boost}}/{{gamma}}",
        "../view/1",
        "a.b/view/1",
        f"x/{INDEX}/view/1",
    ],
)
def test_what_has_no_such_form_is_no_address(key):
    assert read_media(key) is None


def test_a_preview_has_an_address_of_its_own_that_changes_with_its_step():
    assert preview_url(RESULT, "step=40") == f"/preview/{RESULT}?step=40" != preview_url(RESULT, "step=41")


def test_an_address_in_other_channels_is_read_back_with_them():
    url = in_channels(view_url(INDEX, 12), "3-2-11")
    assert read_media(url.removeprefix(MEDIA)) == Media(INDEX, "view", ("12",), (3, 2, 11))
    assert read_media(in_channels(tile_url(INDEX, RESULT), "4").removeprefix(MEDIA)).channels == (4,)
    assert in_channels(view_url(INDEX, 12), "") == view_url(INDEX, 12)


@pytest.mark.parametrize("chosen", ["", "a", "1-2", "1-2-3-4", "-1", "100", "1-2-x", "1/c/2", "1-2-3/"])
def test_channels_that_are_none_name_no_image(chosen):
    assert read_media(f"{INDEX}/view/12/c/{chosen}") is None
