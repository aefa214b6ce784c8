"""The sprites of a layer: the tiles of 256 units each, cut from the views of their best images. Torch-free."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from lurk.records import Box, digest
from lurk.storage.index import Index
from lurk.storage.render_store import Renders
from lurk.storage.webp import View, decode_view, encode_sprite, patch, shown, thumbnail

TILE, COLUMNS, PER_SPRITE = 64, 16, 256
AT_ONCE = 16


@dataclass(frozen=True)
class Sprite:
    """The tiles of up to 256 units of a layer, as of one checkpoint.

    Args:
        layer: Number of the layer.
        page: Number of the sprite in its layer.
        content: Hash of what is on it: the best hit of each of its units.
        boxes: Image and box of the best hit of each of its units, None for a unit without one.
    """

    layer: int
    page: int
    content: str
    boxes: tuple[tuple[int, Box] | None, ...]

    def key(self, index: Index, channels: Sequence[int] = ()) -> str:
        """Its key in the store of rendered images."""
        return sprite_key(index.key, self.layer, self.page, self.content, *channels)


def sprite_key(*parts: object) -> str:
    """Key of a sprite in the store of rendered images: of index, layer, page, content, and channels if any."""
    return "/".join(["sprite", *map(str, parts)])


def sprites(index: Index, layer: str) -> list[Sprite]:
    """All sprites of a layer, in the order of its units."""
    info, best, size = index.layer(layer), index.best(layer), index.manifest.input_shape[1:]
    number = index.layers.index(info)
    rows = [column.tolist() for column in (best.image, best.row, best.col)]
    found = []
    for first in range(0, info.units, PER_SPRITE):
        part = [column[first : first + PER_SPRITE] for column in rows]
        boxes = tuple(
            (image, info.box(row, col, size)) if image >= 0 else None for image, row, col in zip(*part, strict=True)
        )
        found.append(Sprite(number, first // PER_SPRITE, digest(part), boxes))
    return found


def draw_sprites(
    index: Index, wanted: Sequence[Sprite], channels: Sequence[int] = (), between: Callable[[], object] = tuple
) -> list[bytes]:
    """Draw sprites; each view that they show is read once, and no more than one is kept.

    Args:
        index: The index that the sprites are of.
        wanted: The sprites; their tiles are kept until all are cut.
        channels: Channels of the views that are shown; by default the usual ones.
        between: Called before each view is read.

    Returns:
        A JPEG file's bytes for each sprite. The place of a tile whose view is lost or damaged is empty.
    """
    tiles: list[list[View | None]] = [[None] * len(sprite.boxes) for sprite in wanted]
    places: dict[int, dict[Box, list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))
    for number, sprite in enumerate(wanted):
        for place, best in enumerate(sprite.boxes):
            if best is not None:
                places[best[0]][best[1]].append((number, place))
    for image, cuts in places.items():
        between()
        try:
            view = shown(decode_view(index.view_file(image).read_bytes(), index.manifest.input_shape[0]), channels)
            made = {box: thumbnail(patch(view, box), TILE) for box in cuts}
        except (OSError, ValueError):
            continue
        for box, tile in made.items():
            for number, place in cuts[box]:
                tiles[number][place] = tile
    return [encode_sprite(sheet, TILE, COLUMNS) for sheet in tiles]


def draw_ahead(index: Index, renders: Renders, seconds: float, between: Callable[[], object] = tuple) -> None:
    """Draw the sprites of an index that are not kept yet, layer after layer, so that no page waits for them.

    Args:
        index: The index.
        renders: The store that keeps them.
        seconds: When to stop; what is left is drawn when a page asks for it.
        between: Called before each view is read; it may take its time, or raise.
    """
    end = time.monotonic() + seconds
    missing = _missing(index, renders, end)
    while group := list(islice(missing, AT_ONCE)):
        for sprite, data in zip(group, draw_sprites(index, group, between=between), strict=True):
            renders.put(sprite.key(index), data)


def _missing(index: Index, renders: Renders, end: float) -> Iterator[Sprite]:
    """The sprites of an index that are not kept, until a moment of the monotonic clock."""
    for layer in index.layers:
        for sprite in sprites(index, layer.name):
            if time.monotonic() > end:
                return
            if renders.get(sprite.key(index)) is None:
                yield sprite
