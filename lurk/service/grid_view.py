"""A layer's grid of units, and the sprites that its tiles are cut from."""

from typing import Any

import numpy as np

from lurk.records import Floats
from lurk.service.unit_view import finite
from lurk.service.unit_words import tile_words, unit_name
from lurk.service.urls import Address, sprite_url
from lurk.storage.index import Index
from lurk.storage.sprites import COLUMNS, PER_SPRITE, TILE, sprites

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
        before its activation function, and the class that excites it most on average; `names` of class scores.
    """
    info, best, states = index.layer(layer), index.best(layer), index.states(layer)
    order = _order(index, layer, sort, best.score)[offset : None if limit is None else offset + limit]
    names = [unit_name(info, unit, index.manifest.outputs) for unit in order]
    classes = [*(index.classes or ()), ""]  # -1 is none
    best_class = index.best_class(layer)
    found_most = ["" if states[unit] in ("dead", "constant") else classes[best_class[unit]] for unit in order]
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
        "sprites": sprite_urls(index, layer),
        "order": order,
        "labels": [
            tile_words(name, states[unit], top, info, most)
            for name, unit, top, most in zip(names, order, tops, found_most, strict=True)
        ],
        "names": names if info.class_scores else None,
        "top_class": [most or None for most in found_most],
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


def sprite_urls(index: Index, layer: str) -> list[Address]:
    """Addresses of the sprites of a layer; one changes when the best hit of one of its units does."""
    return [sprite_url(index.key, one.layer, one.page, one.content) for one in sprites(index, layer)]
