"""Images by address: views, patches and sprites from the index, pictures and maps from results; torch-free."""

from collections.abc import Callable
from functools import partial

from lurk.errors import IndexFormatError
from lurk.jobs.method_request import preview_key
from lurk.service.colormaps import Mode, colour_map, in_channels
from lurk.service.method_results import stored_map
from lurk.service.urls import Media, read_preview
from lurk.storage.index import Index
from lurk.storage.render_store import Renders
from lurk.storage.results import read_result
from lurk.storage.sprites import TILE, draw_sprites, sprite_key, sprites
from lurk.storage.webp import (
    View,
    decode_view,
    encode_patch,
    encode_picture,
    encode_view,
    is_sheet,
    patch,
    shown,
    thumbnail,
)

LONGEST_SIDE = 8192
Channels = tuple[int, ...]


def draw(index: Index, media: Media, renders: Renders) -> bytes | None:
    """Draw the image at an address.

    Args:
        index: The index that the address names.
        media: The address.
        renders: The store that keeps sprites.

    Returns:
        The file's bytes, in JPEG for a sprite and else in WebP; None if the index has no such image.
    """
    drawers: dict[str, Callable[..., bytes | None]] = {
        "view": _view,
        "patch": _patch,
        "sprite": partial(_sprite, renders=renders),
        "picture": _picture,
        "tile": _picture_tile,
        "opacity": _opacity,
        "map": _map,
    }
    try:
        return drawers[media.kind](index, media.channels, *media.parts)
    except (OSError, ValueError, IndexFormatError):
        return None


def draw_preview(key: str, renders: Renders) -> bytes | None:
    """Draw a picture that is under way.

    Args:
        key: What follows `/preview/` in its address.
        renders: The store that keeps previews.

    Returns:
        A WebP file's bytes; None if there is no such picture, or it has no such channels.
    """
    named = read_preview(key)
    data = renders.get(preview_key(named[0])) if named else None
    try:
        return None if named is None or data is None else _in_channels(data, named[1])
    except (OSError, ValueError):
        return None


def _view(index: Index, channels: Channels, image: str) -> bytes:
    return _in_channels(index.view_file(int(image)).read_bytes(), channels, index.manifest.input_shape[0])


def _in_channels(data: bytes, channels: Channels, count: int = 3) -> bytes:
    """A view's file as it is, if that can be shown, else another one with the channels that are shown."""
    if not channels and not is_sheet(data):
        return data
    return encode_view(shown(decode_view(data, count), channels))


def _patch(index: Index, channels: Channels, image: str, *sides: str) -> bytes | None:
    row0, col0, row1, col1 = (int(side) for side in sides)
    if not (0 < row1 - row0 <= LONGEST_SIDE and 0 < col1 - col0 <= LONGEST_SIDE):
        return None
    return encode_patch(patch(_decoded_view(index, channels, int(image)), (row0, col0, row1, col1)))


def _sprite(
    index: Index, channels: Channels, number: str, page: str, content: str, *, renders: Renders
) -> bytes | None:
    key = sprite_key(index.key, number, page, content, *channels)
    kept = renders.get(key)
    if kept is not None:
        return kept
    if int(number) >= len(index.layers):
        return None
    found = [one for one in sprites(index, index.layers[int(number)].name) if one.page == int(page)]
    if not found or found[0].content != content:
        return None
    data = draw_sprites(index, found, channels)[0]
    renders.put(key, data)
    return data


def _picture(index: Index, channels: Channels, key: str, number: str) -> bytes | None:
    data = _stored(index, key, f"picture-{int(number)}.webp")
    return None if data is None else _in_channels(data, channels, index.manifest.input_shape[0])


def _opacity(index: Index, _channels: Channels, key: str, number: str) -> bytes | None:
    return _stored(index, key, f"opacity-{int(number)}.webp")


def _stored(index: Index, key: str, file: str) -> bytes | None:
    found = read_result(index.folder, key)
    return None if found is None else found.read(file)


def _picture_tile(index: Index, channels: Channels, key: str, number: str) -> bytes | None:
    data = _stored(index, key, f"picture-{int(number)}.webp")
    if data is None:
        return None
    return encode_picture(thumbnail(shown(decode_view(data, index.manifest.input_shape[0]), channels), TILE))


def _map(index: Index, channels: Channels, key: str, mode: Mode, boost: str, gamma: str) -> bytes | None:
    found = read_result(index.folder, key)
    if found is None:
        return None
    return encode_picture(colour_map(in_channels(stored_map(found), channels, mode), mode, float(boost), float(gamma)))


def _decoded_view(index: Index, channels: Channels, image: int) -> View:
    return shown(decode_view(index.view_file(image).read_bytes(), index.manifest.input_shape[0]), channels)
