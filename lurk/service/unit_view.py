"""What the page shows of a study, a layer and a unit: plain values made from the index, ready to be written as JSON."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from lurk.records import Box, Floats, Hit, LayerInfo, UnitRecord, digest
from lurk.storage.histogram import histogram
from lurk.storage.index import Index
from lurk.storage.webp import shown_box

TILE, COLUMNS, PER_SPRITE = 64, 16, 256
BARS = 20
SORTS = ("unit", "max", "selectivity", "sparsity")


@dataclass(frozen=True)
class StudyView:
    """A study as the pages name it.

    Args:
        name: Name in addresses.
        title: Model and image set in words.
        model: Model source.
        images: Image source.
        weights: `pretrained`, `untrained`, a file's name; empty before the model was loaded.
        notice: What nobody may miss; empty otherwise.
        ready: Whether its index can be opened.
        label: The name that somebody gave it; empty where it is made of model and images.
        stale: In what its index differs from what the study now says; empty where in nothing.
        count: Number of images.
        layers: Number of layers.
        units: Number of units, over all layers.
        swept: When the index was last written, in seconds since 1970; None before its first checkpoint.
        preprocessing: What is done to an image.
        weight_hash: SHA-256 of the weights.
        strip: Address of a sprite whose first row stands for the study; empty where there is none yet.
        strip_units: Number of units in that row.
    """

    name: str
    title: str
    model: str
    images: str
    weights: str
    notice: str
    ready: bool
    label: str = ""
    stale: str = ""
    count: int = 0
    layers: int = 0
    units: int = 0
    swept: float | None = None
    preprocessing: str = ""
    weight_hash: str = ""
    strip: str = ""
    strip_units: int = 0


class UnitView:
    """One unit, as its modal shows it."""

    def __init__(self, index: Index, layer: str, unit: int) -> None:
        self.record: UnitRecord = index.unit(layer, unit)
        self.info: LayerInfo = index.layer(layer)
        self.seen, self.total = index.manifest.done, index.manifest.images
        self.global_field = self.info.receptive_field is None
        self.no_classes = "" if index.classes else index.manifest.class_note or "the image set has no classes"
        self._index = index

    def hits(self, kind: str) -> list[dict[str, Any]]:
        """The images that excite the unit most, best first.

        Args:
            kind: `max`, by the highest value at a position, or `mean`, by the mean over all positions.

        Returns:
            Each hit's fields with its class name, the addresses of view and patch, and `outline`: left, top, width and
            height of the patch as shares of the view, cut to the view.
        """
        hits = self.record.hits_max if kind == "max" else self.record.hits_mean
        return [self._hit(hit) for hit in hits]

    def _hit(self, hit: Hit) -> dict[str, Any]:
        height, width = self._index.manifest.input_shape[1:]
        box = shown_box(hit.box, height, width)
        classes = self._index.classes
        top, left, bottom, right = max(box[0], 0), max(box[1], 0), min(box[2], height), min(box[3], width)
        return {
            "image": hit.image,
            "path": hit.path,
            "label": hit.label,
            "class": classes[hit.label] if classes and hit.label is not None else "",
            "score": hit.score,
            "row": hit.row,
            "col": hit.col,
            "box": hit.box,
            "view_url": view_url(self._index.key, hit.image),
            "patch_url": patch_url(self._index.key, hit.image, hit.box),
            "outline": [left / width, top / height, (right - left) / width, (bottom - top) / height],
            "whole": box[2] - box[0] >= height and box[3] - box[1] >= width,
        }

    @cached_property
    def histogram(self) -> dict[str, list[float]]:
        """`edges` of the bars and `counts`, how many positions fall into each, estimated from the sketch."""
        edges, shares = histogram(self._index, self.record.layer, self.record.unit)
        return {"edges": edges.tolist(), "counts": (shares * self.record.count).tolist()}

    def bars(self, kind: str) -> list[dict[str, Any]]:
        """The 20 classes with the highest mean, highest first.

        Args:
            kind: `max` or `mean`, as for `hits`.

        Returns:
            For each class: `class`, `mean`, `n` and `half_width`, half of the 95 % confidence interval of the mean by
            the normal approximation, None with fewer than two images.
        """
        means, stds = self._profile(kind)
        order = np.argsort(-np.nan_to_num(means, nan=-np.inf), kind="stable")[:BARS]
        counts = self.record.class_count
        classes = self._index.classes or ()
        return [
            {
                "class": classes[label],
                "mean": float(means[label]),
                "n": int(counts[label]),
                "half_width": 1.96 * float(stds[label]) / math.sqrt(counts[label]) if counts[label] > 1 else None,
            }
            for label in order
            if counts[label]
        ]

    def overall(self, kind: str) -> float | None:
        """Mean of the class means, over all classes that have images."""
        means = self._profile(kind)[0]
        seen = means[~np.isnan(means)]
        return float(seen.mean()) if len(seen) else None

    def _profile(self, kind: str) -> tuple[Floats, Floats]:
        record = self.record
        if kind == "max":
            return record.class_max, record.class_max_std
        return record.class_mean, record.class_mean_std

    def to_json(self) -> dict[str, Any]:
        """The record under the names of `UnitRecord`, with JSON's null for what is not known."""
        record = self.record
        arrays = ("class_count", "class_max", "class_mean", "class_max_std", "class_mean_std")
        plain = {name: [known(value) for value in getattr(record, name).tolist()] for name in arrays}
        return {
            "layer": record.layer,
            "unit": record.unit,
            "hits_max": self.hits("max"),
            "hits_mean": self.hits("mean"),
            **plain,
            "count": record.count,
            "mean": known(record.mean),
            "std": known(record.std),
            "fraction_positive": known(record.fraction_positive),
            "quantiles": {str(probability): known(value) for probability, value in record.quantiles.items()},
            "state": record.state,
            "images_seen": self.seen,
            "images": self.total,
        }


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
        Sprite addresses, what is needed to cut them, and for each unit in `order` its label, state and score.
    """
    info, best, states = index.layer(layer), index.best(layer), index.states(layer)
    order = _order(index, layer, sort, best.score)[offset : None if limit is None else offset + limit]
    return {
        "layer": layer,
        "units": info.units,
        "tile": TILE,
        "per_sprite": PER_SPRITE,
        "columns": COLUMNS,
        "sprites": [sprite_url(index, layer, page) for page in range(-(-info.units // PER_SPRITE))],
        "order": order,
        "labels": [_label(unit, states[unit], float(best.score[unit])) for unit in order],
        "state": [states[unit] for unit in order],
        "score": [known(float(best.score[unit])) for unit in order],
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


def _label(unit: int, state: str, score: float) -> str:
    words = {"dead": ", never above 0", "always_on": ", always on", "saturated": ", saturated"}.get(state, "")
    return f"unit {unit}" + (f", highest {score:.4g}" if not math.isnan(score) else ", no image yet") + words


def known(value: float) -> float | None:
    """A number as JSON can hold it: None for NaN and infinity."""
    return value if math.isfinite(value) else None


def view_url(key: str, image: int) -> str:
    """Address of the view of an image."""
    return f"/media/{key}/view/{image}"


def patch_url(key: str, image: int, box: Box) -> str:
    """Address of a patch."""
    return f"/media/{key}/patch/{image}/{'_'.join(str(side) for side in box)}"


def sprite_url(index: Index, layer: str, page: int) -> str:
    """Address of the sprite of 256 units; it changes with what is on it."""
    number = index.layers.index(index.layer(layer))
    return f"/media/{index.key}/sprite/{number}/{page}/{sprite_content(index, layer, page)}"


def sprite_content(index: Index, layer: str, page: int) -> str:
    """Hash of what is on a sprite: the best hit of each of its units."""
    best = index.best(layer)
    part = slice(page * PER_SPRITE, (page + 1) * PER_SPRITE)
    return digest([column[part].tolist() for column in (best.image, best.row, best.col)])


def boxes(index: Index, layer: str, page: int) -> Sequence[tuple[int, Box] | None]:
    """Image and box of the best hit of each unit of a sprite, None for a unit without one."""
    info, best = index.layer(layer), index.best(layer)
    part = slice(page * PER_SPRITE, (page + 1) * PER_SPRITE)
    size = index.manifest.input_shape[1:]
    rows = zip(*(column[part].tolist() for column in (best.image, best.row, best.col)), strict=True)
    return [(image, info.box(row, col, size)) if image >= 0 else None for image, row, col in rows]
