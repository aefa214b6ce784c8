"""A unit as its modal shows it: plain values from the index, ready to be written as JSON."""

import math
from functools import cached_property
from typing import Any

import numpy as np

from lurk.records import Floats, Hit, LayerInfo, UnitRecord
from lurk.service.unit_words import tie_words, unit_name
from lurk.service.urls import in_channels, patch_url, view_url
from lurk.storage.histogram import histogram
from lurk.storage.index import Index
from lurk.storage.webp import shown_box

BARS = 20


class UnitView:
    """A unit, as its modal shows it.

    `name` is what it is called, `unit 3` or `class tench`. `channels` says which channels of its images are shown, such
    as `3-2-1` or `4`; empty for the usual ones.
    """

    channels = ""

    def __init__(self, index: Index, layer: str, unit: int) -> None:
        self.record: UnitRecord = index.unit(layer, unit)
        self.info: LayerInfo = index.layer(layer)
        self.seen, self.total = index.manifest.done, index.manifest.images
        self.no_classes = "" if index.classes else index.manifest.class_note or "the image set has no classes"
        self.name = unit_name(self.info, unit, index.manifest.outputs)
        self._index = index

    @property
    def is_partial(self) -> bool:
        """Whether the sweep has not seen all images yet."""
        return self.seen < self.total

    def hits(self, kind: str) -> list[dict[str, Any]]:
        """The images that excite the unit most, best first.

        Args:
            kind: `max`, by the highest value at a position, or `mean`, by the mean over all positions.

        Returns:
            Each hit's fields with its class name, the addresses of view and patch, and `outline`: left, top, width and
            height of the patch as fractions of the view, clipped to it.
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
            "before": hit.before,
            "row": hit.row,
            "col": hit.col,
            "box": hit.box,
            "view_url": in_channels(view_url(self._index.key, hit.image), self.channels),
            "patch_url": in_channels(patch_url(self._index.key, hit.image, hit.box), self.channels),
            "outline": [left / width, top / height, (right - left) / width, (bottom - top) / height],
            "whole": box[2] - box[0] >= height and box[3] - box[1] >= width,
        }

    @cached_property
    def histogram(self) -> dict[str, list[float]]:
        """`edges` of the bars and `counts`, the estimated number of positions in each, from the sketch."""
        edges, shares = histogram(self._index, self.record.layer, self.record.unit)
        return {"edges": edges.tolist(), "counts": (shares * self.record.count).tolist()}

    def bars(self, kind: str) -> list[dict[str, Any]]:
        """The 20 classes with the highest mean, highest first.

        Args:
            kind: `max` or `mean`, as for `hits`.

        Returns:
            For each class: `class`, `mean`, the number `n` of images, and `half_width`, half of the mean's 95 %
            confidence interval (normal approximation), None with fewer than two images.
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
        """The record under the names of `UnitRecord`; None instead of NaN and infinity."""
        record = self.record
        arrays = ("class_count", "class_max", "class_mean", "class_max_std", "class_mean_std")
        plain = {name: [finite(value) for value in getattr(record, name).tolist()] for name in arrays}
        return {
            "layer": record.layer,
            "unit": record.unit,
            "name": self.name,
            "hits_max": self.hits("max"),
            "hits_mean": self.hits("mean"),
            "ties_max": tie_words(record, "max"),
            "ties_mean": tie_words(record, "mean"),
            **plain,
            "count": record.count,
            "mean": finite(record.mean),
            "std": finite(record.std),
            "fraction_positive": finite(record.fraction_positive),
            "quantiles": {str(probability): finite(value) for probability, value in record.quantiles.items()},
            "state": record.state,
            "images_seen": self.seen,
            "images": self.total,
        }


def finite(value: float) -> float | None:
    """A number as JSON can hold it: None instead of NaN and infinity."""
    return value if math.isfinite(value) else None
