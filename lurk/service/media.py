"""Images by key: views, patches and sprites, pictures and maps, drawn from what the index keeps; torch-free.

Keys are `<index>/view/<image>`, `<index>/patch/<image>/<row0>_<col0>_<row1>_<col1>`,
`<index>/sprite/<layer number>/<page>/<content hash>`, and of a method's result `<index>/picture/<result>/<number>`,
the same with `/tile`, `<index>/opacity/<result>/<number>` and `<index>/map/<result>/<mode>/<boost>/<gamma>`. What a
key names never changes.
"""

import re
from collections.abc import Callable
from functools import lru_cache, partial

from lurk.errors import IndexFormatError
from lurk.records import Box
from lurk.service.colormaps import BOOSTS, GAMMAS, MODES, Mode, shown
from lurk.service.method_results import stored_map
from lurk.service.unit_view import COLUMNS, TILE, boxes, sprite_content
from lurk.storage.index import Index
from lurk.storage.renders import Renders
from lurk.storage.results import read_result
from lurk.storage.webp import (
    MIMETYPE,
    View,
    decode_view,
    encode_patch,
    encode_picture,
    encode_sprite,
    patch,
    thumbnail,
)

LONGEST_SIDE = 8192
VIEWS_KEPT = 256

_PATTERNS = {
    "view": re.compile(r"view/(\d{1,10})"),
    "patch": re.compile(r"patch/(\d{1,10})/(-?\d{1,6})_(-?\d{1,6})_(-?\d{1,6})_(-?\d{1,6})"),
    "sprite": re.compile(r"sprite/(\d{1,6})/(\d{1,6})/([0-9a-f]{32})"),
    "picture": re.compile(r"(picture|opacity)/([0-9a-f]{32})/(\d{1,3})"),
    "tile": re.compile(r"picture/([0-9a-f]{32})/(\d{1,3})/tile"),
    "map": re.compile(f"map/([0-9a-f]{{32}})/({'|'.join(MODES)})/({'|'.join(BOOSTS)})/({'|'.join(GAMMAS)})"),
}


def draw(index: Index, rest: str, renders: Renders) -> tuple[bytes, str] | None:
    """Draw the image of a key.

    Args:
        index: The index that the key names.
        rest: The key without the index.
        renders: Where sprites are kept.

    Returns:
        The file's bytes and its MIME type; None when the key names nothing that is there.
    """
    drawers: dict[str, Callable[..., bytes | None]] = {
        "view": _view,
        "patch": _patch,
        "sprite": partial(_sprite, renders=renders),
        "picture": _picture,
        "tile": _picture_tile,
        "map": _map,
    }
    for kind, pattern in _PATTERNS.items():
        match = pattern.fullmatch(rest)
        if match:
            try:
                data = drawers[kind](index, *match.groups())
            except (OSError, ValueError, IndexFormatError):
                return None
            return None if data is None else (data, MIMETYPE)
    return None


def _view(index: Index, image: str) -> bytes:
    return index.view_file(int(image)).read_bytes()


def _patch(index: Index, image: str, *sides: str) -> bytes | None:
    row0, col0, row1, col1 = (int(side) for side in sides)
    if not (0 < row1 - row0 <= LONGEST_SIDE and 0 < col1 - col0 <= LONGEST_SIDE):
        return None
    return encode_patch(patch(_view_of(index, int(image)), (row0, col0, row1, col1)))


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
    view = lru_cache(VIEWS_KEPT)(partial(_view_of, index))
    tiles = [None if best is None else _tile(view, *best) for best in boxes(index, layer, int(page))]
    if not tiles:
        return None
    data = encode_sprite(tiles, TILE, COLUMNS)
    renders.put(key, data)
    return data


def _picture(index: Index, kind: str, key: str, number: str) -> bytes | None:
    found = read_result(index.folder, key)
    return None if found is None else found.read(f"{kind}-{int(number)}.webp")


def _picture_tile(index: Index, key: str, number: str) -> bytes | None:
    data = _picture(index, "picture", key, number)
    return None if data is None else encode_picture(thumbnail(decode_view(data, index.manifest.input_shape[0]), TILE))


def _map(index: Index, key: str, mode: Mode, boost: str, gamma: str) -> bytes | None:
    found = read_result(index.folder, key)
    return None if found is None else encode_picture(shown(stored_map(found), mode, float(boost), float(gamma)))


def _tile(view: Callable[[int], View], image: int, box: Box) -> View | None:
    try:
        return thumbnail(patch(view(image), box), TILE)
    except (OSError, ValueError):
        return None


def _view_of(index: Index, image: int) -> View:
    return decode_view(index.view_file(image).read_bytes(), index.manifest.input_shape[0])
