"""A layer's grid of units, and the sprites that its tiles are cut from."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lurk.records import Box, Floats, digest
from lurk.service.unit_view import finite
from lurk.service.unit_words import tile_words, unit_name
from lurk.service.urls import Address, sprite_url
from lurk.storage.index import Index

TILE, COLUMNS, PER_SPRITE = 64, 16, 256
SORTS = ("unit", "max", "selectivity", "sparsity")


def grid(index: Index, layer: str, sort: str = "unit", limit: int | None = None, offset: int = 0) -> dict[str, Any]:
    """A layer's grid of units.

    Args:
        index: The index.
        layer: Name of the layer.
        sort: `unit` by number; `max` by the highest score; `selectivity` by class selectivity; `sparsity` with the
            units that are rarely above 0 first.
        limit: How many units at most.
        offset: How many units to pass over.

    Returns:
        Sprite addresses, what is needed to cut them, and for each unit in `order` its label, state, score and the value
        before its activation function; `names` of class scores.
    """
    info, best, states = index.layer(layer), index.best(layer), index.states(layer)
    order = _order(index, layer, sort, best.score)[offset : None if limit is None else offset + limit]
    names = [unit_name(info, unit, index.manifest.outputs) for unit in order]
    scores = [float(best.score[unit]) for unit in order]
    tops = [
        {"score": score, "before": finite(float(best.before[unit]))} for unit, score in zip(order, scores, strict=True)
    ]
    return {
        "layer": layer,
        "units": info.units,
        "tile": TILE,
        "per_sprite": PER_SPRITE,
        "columns": COLUMNS,
        "sprites": [sprite(index, layer, page) for page in range(-(-info.units // PER_SPRITE))],
        "order": order,
        "labels": [
            tile_words(name, states[unit], top, info) for name, unit, top in zip(names, order, tops, strict=True)
        ],
        "names": names if info.class_scores else None,
        "state": [states[unit] for unit in order],
        "score": [finite(score) for score in scores],
        "before": [top["before"] for top in tops],
    }


def _order(index: Index, layer: str, sort: str, scores: Floats) -> list[int]:
    if sort == "max":
        keys = -scores
    elif sort == "selectivity":
        keys = -index.selectivity(layer)
    elif sort == "sparsity":
        keys = index.fraction_positive(layer)
    else:
        return list(range(len(scores)))
    order: list[int] = np.argsort(np.nan_to_num(keys, nan=np.inf), kind="stable").tolist()
    return order


def sprite(index: Index, layer: str, page: int) -> Address:
    """Address of the sprite of 256 units; it changes when the best hit of one of them does."""
    number = index.layers.index(index.layer(layer))
    return sprite_url(index.key, number, page, sprite_content(index, layer, page))


def sprite_content(index: Index, layer: str, page: int) -> str:
    """Hash of what is on a sprite: the best hit of each of its units."""
    return digest(_best_of_page(index, layer, page))


def sprite_boxes(index: Index, layer: str, page: int) -> Sequence[tuple[int, Box] | None]:
    """Image and box of the best hit of each unit of a sprite, None for a unit without one."""
    info, size = index.layer(layer), index.manifest.input_shape[1:]
    rows = zip(*_best_of_page(index, layer, page), strict=True)
    return [(image, info.box(row, col, size)) if image >= 0 else None for image, row, col in rows]


def _best_of_page(index: Index, layer: str, page: int) -> list[list[int]]:
    """Image, row and column of the best hit of each unit of a sprite: three lists."""
    best, part = index.best(layer), slice(page * PER_SPRITE, (page + 1) * PER_SPRITE)
    return [column[part].tolist() for column in (best.image, best.row, best.col)]
