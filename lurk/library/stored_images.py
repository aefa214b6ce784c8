"""Images of an index as WebP data and samples: views, patches, and the tiles of a layer with their states."""

from functools import lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np

from lurk.errors import IndexFormatError
from lurk.records import Box, UnitState
from lurk.storage.sprites import TILE, sprites
from lurk.storage.webp import View, decode_view, encode_patch, patch, thumbnail

if TYPE_CHECKING:
    from lurk.library.index import Index
    from lurk.library.layer import Layer

VIEWS_KEPT = 256
HATCH, BAR = 8, 4  # distance of the lines of a unit that is never active, height of the bar below others, in pixels
GREY, MARK = 128, (230, 0, 122)


def view_webp(index: "Index", image: int) -> bytes:
    """The preprocessed view of a hit image; IndexFormatError if the index has lost it."""
    try:
        return index.view_file(image).read_bytes()
    except OSError as error:
        raise IndexFormatError(f"{index.folder} has lost its view of image {image}; sweep again") from error


def patch_webp(index: "Index", image: int, box: Box) -> tuple[bytes, float]:
    """A patch of a hit image, and its height as a share of its width."""
    cut = patch(_view(index, image), box)
    return encode_patch(cut), cut.shape[0] / cut.shape[1]


def tiles(layer: "Layer") -> list[View | None]:
    """The tiles of a layer's units, uint8 (64, 64, 3) each, marked by state; None for a unit without an image."""
    stored, states = layer.index.stored, layer.states
    view = lru_cache(VIEWS_KEPT)(partial(_view, layer.index))
    best = [one for sprite in sprites(stored, layer.name) for one in sprite.boxes]

    def tile(image: int, box: Box, state: UnitState) -> View | None:
        try:
            return marked(thumbnail(patch(view(image), box), TILE), state)
        except (IndexFormatError, OSError, ValueError):
            return None  # one view that is lost or damaged leaves one place empty, as on the page

    return [
        None if one is None or state == "constant" else tile(*one, state)
        for one, state in zip(best, states, strict=True)
    ]


def _view(index: "Index", image: int) -> View:
    return decode_view(view_webp(index, image), index.manifest.input_shape[0])


def marked(tile: View, state: UnitState) -> View:
    """Mark a tile by its unit's state.

    Args:
        tile: uint8 (h, w, 3).
        state: State of the unit.

    Returns:
        A hatched tile for a unit that is never active, a bar at the bottom for one that is always on or saturated.
    """
    if state == "ok":
        return tile
    drawn = tile.copy()
    if state == "dead":
        row, col = np.indices(tile.shape[:2])
        drawn[(row + col) % HATCH < 2] = GREY
    else:
        drawn[-BAR:] = MARK
    return drawn
