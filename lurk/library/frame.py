"""All units of an index as a pandas frame; pandas is imported here only."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from lurk.errors import LurkError
from lurk.library.layer import Layer

if TYPE_CHECKING:
    import pandas as pd

    from lurk.library.index import Index


def frame(index: "Index") -> "pd.DataFrame":
    """All units, a row each, in the order of the layers.

    Args:
        index: The index.

    Returns:
        The frame.

    Raises:
        LurkError: pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise LurkError("index.frame() needs pandas: pip install pandas") from error
    paths = _Paths(index)
    parts = [pd.DataFrame(_columns(index.layer(layer.name), paths)) for layer in index.manifest.layers]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _columns(layer: Layer, paths: "_Paths") -> dict[str, Any]:
    """The columns of a layer's units; every one has a value a unit."""
    images = layer.images()[:, :1]
    best = images[:, 0].tolist() if images.shape[1] else [-1] * layer.units
    none = np.full((layer.units, 1), np.nan)
    scores, before = ((part if images.shape[1] else none)[:, 0] for part in (layer.scores(), layer.before()))
    strongest, strongest_mean = _strongest(layer)
    return {
        "layer": layer.name,
        "kind": layer.kind,
        "unit": np.arange(layer.units),
        "state": layer.states,
        "mean": layer.means,
        "std": layer.stds,
        "fraction_positive": layer.fraction_positive,
        "best_score": scores,
        "best_before": before,
        "best_image": best,
        "best_path": [paths.path(image) for image in best],
        "best_class": [paths.class_of(image) for image in best],
        "strongest_class": strongest,
        "strongest_class_mean": strongest_mean,
        "selectivity": layer.selectivity,
    }


def _strongest(layer: Layer) -> tuple[list[str | None], np.ndarray[Any, Any]]:
    """Name and mean of the class with the highest mean of the spatial max of each unit."""
    means, names = layer.class_means(), layer.index.classes or ()
    if not names:
        return [None] * layer.units, np.full(layer.units, np.nan)
    best = np.where(np.isnan(means), -np.inf, means).argmax(1)
    highest = means[np.arange(layer.units), best]
    named = zip(best.tolist(), highest.tolist(), strict=True)
    return [None if math.isnan(mean) else names[label] for label, mean in named], highest


class _Paths:
    """Path and class name of images, each read once."""

    def __init__(self, index: "Index") -> None:
        self._index = index
        self._found: dict[int, tuple[str, int | None]] = {}

    def _entry(self, image: int) -> tuple[str | None, int | None]:
        if image < 0:
            return None, None
        if image not in self._found:
            path, label = self._index.image(image)
            images = self._index.images
            file = None if images is None else images.file(image)
            self._found[image] = (path if file is None else str(file), label)
        return self._found[image]

    def path(self, image: int) -> str | None:
        """Path of an image, as hits have it; None for no image."""
        return self._entry(image)[0]

    def class_of(self, image: int) -> str | None:
        """Class name of an image; None for no image, and for one without a class."""
        label, classes = self._entry(image)[1], self._index.classes
        return classes[label] if classes and label is not None else None
