"""Images by address: views, patches and sprites from the index, pictures and maps from results; torch-free."""

from collections.abc import Callable
from functools import lru_cache, partial

from lurk.errors import IndexFormatError
from lurk.records import Box
from lurk.service.colormaps import Mode, colour_map
from lurk.service.grid_view import COLUMNS, TILE, sprite_boxes, sprite_content
from lurk.service.method_results import stored_map
from lurk.service.urls import Media
from lurk.storage.index import Index
from lurk.storage.render_store import Renders
from lurk.storage.results import read_result
from lurk.storage.webp import View, decode_view, encode_patch, encode_picture, encode_sprite, patch, thumbnail

LONGEST_SIDE = 8192
VIEWS_KEPT = 256


def draw(index: Index, media: Media, renders: Renders) -> bytes | None:
    """Draw the image at an address.

    Args:
        index: The index that the address names.
        media: The address.
        renders: The store that keeps sprites.

    Returns:
        A WebP file's bytes; None if the index has no such image.
    """
    drawers: dict[str, Callable[..., bytes | None]] = {
        "view": _view,
        "patch": _patch,
        "sprite": partial(_sprite, renders=renders),
        "picture": partial(_picture, "picture"),
        "tile": _picture_tile,
        "opacity": partial(_picture, "opacity"),
        "map": _map,
    }
    try:
        return drawers[media.kind](index, *media.parts)
    except (OSError, ValueError, IndexFormatError):
        return None


def _view(index: Index, image: str) -> bytes:
    return index.view_file(int(image)).read_bytes()


def _patch(index: Index, image: str, *sides: str) -> bytes | None:
    row0, col0, row1, col1 = (int(side) for side in sides)
    if not (0 < row1 - row0 <= LONGEST_SIDE and 0 < col1 - col0 <= LONGEST_SIDE):
        return None
    return encode_patch(patch(_decoded_view(index, int(image)), (row0, col0, row1, col1)))


def _sprite(index: Index, number: str, page: str, content: str, *, renders: Renders) -> bytes | None:
    key = f"{index.key}/sprite/{number}/{page}/{content}"
    kept = renders.get(key)
    if kept is not None:
        return kept
    if int(number) >= len(index.layers):
        return None
    layer = index.layers[int(number)].name
    if sprite_content(index, layer, int(page)) != content:
        return None
    view = lru_cache(VIEWS_KEPT)(partial(_decoded_view, index))
    tiles = [None if best is None else _tile(view, *best) for best in sprite_boxes(index, layer, int(page))]
    if not tiles:
        return None
    data = encode_sprite(tiles, TILE, COLUMNS)
    renders.put(key, data)
    return data


def _picture(kind: str, index: Index, key: str, number: str) -> bytes | None:
    found = read_result(index.folder, key)
    return None if found is None else found.read(f"{kind}-{int(number)}.webp")


def _picture_tile(index: Index, key: str, number: str) -> bytes | None:
    data = _picture("picture", index, key, number)
    return None if data is None else encode_picture(thumbnail(decode_view(data, index.manifest.input_shape[0]), TILE))


def _map(index: Index, key: str, mode: Mode, boost: str, gamma: str) -> bytes | None:
    found = read_result(index.folder, key)
    return None if found is None else encode_picture(colour_map(stored_map(found), mode, float(boost), float(gamma)))


def _tile(view: Callable[[int], View], image: int, box: Box) -> View | None:
    try:
        return thumbnail(patch(view(image), box), TILE)
    except (OSError, ValueError):
        return None


def _decoded_view(index: Index, image: int) -> View:
    return decode_view(index.view_file(image).read_bytes(), index.manifest.input_shape[0])
