"""What the front page shows of a study: its size, when it was swept, where it comes from, whether it is out of date."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from lurk.config.settings import Settings
from lurk.config.staleness import differences
from lurk.records import canonical
from lurk.service.unit_view import COLUMNS, StudyView, sprite_url
from lurk.storage.index import Index
from lurk.storage.manifest import study_made_with

LOOK_AGAIN_S = 5.0


class Overview:
    """Makes the views of studies; whether one is out of date is looked up every few seconds at most."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._stale: dict[str, tuple[float, object, str]] = {}
        self._indexes: WeakKeyDictionary[Index, dict[str, Any]] = WeakKeyDictionary()

    def view(self, name: str, settings: Settings, index: Index | None) -> StudyView:
        """A study as the pages name it.

        Args:
            name: Name of the study.
            settings: Its options.
            index: Its index, None before its first sweep has begun.

        Returns:
            What is known of it.
        """
        title = f"{Path(settings.model).name} on {Path(settings.data).name}"
        named = settings.name or ""
        if index is None:
            return StudyView(name, title, settings.model, settings.data, "", "", False, named)
        plain = StudyView(name, title, settings.model, settings.data, "", "", True, named, self.stale(name, settings))
        return replace(plain, **self._of_index(index))

    def _of_index(self, index: Index) -> dict[str, Any]:
        """What an index says, put together once for each time that it is opened."""
        known = self._indexes.get(index)
        if known is not None:
            return known
        manifest, provenance = index.manifest, index.manifest.provenance
        strip, strip_units = _strip(index)
        found = {
            "weights": provenance.weights,
            "notice": manifest.notice,
            "count": manifest.images,
            "layers": len(manifest.layers),
            "units": sum(layer.units for layer in manifest.layers),
            "swept": _written(index),
            "preprocessing": provenance.preprocessing,
            "weight_hash": provenance.weight_hash,
            "strip": strip,
            "strip_units": strip_units,
        }
        self._indexes[index] = found
        return found

    def stale(self, name: str, settings: Settings) -> str:
        """In what the index of a study differs from what its options and files now say; empty where in nothing."""
        then, now = study_made_with(self._cache, name), time.monotonic()
        known = (canonical(then), settings)
        looked, about, found = self._stale.get(name, (0.0, None, ""))
        if about != known or now - looked > LOOK_AGAIN_S:
            found = ", ".join(differences(then, settings))
            self._stale[name] = (now, known, found)
        return found


def _written(index: Index) -> float | None:
    """When the last checkpoint was written, in seconds since 1970; None before the first."""
    try:
        return (index.folder / "manifest.json").stat().st_mtime if index.manifest.generation else None
    except OSError:
        return None


def _strip(index: Index) -> tuple[str, int]:
    """Address of a sprite of an early layer with small patches, and the units in its first row; before any, nothing."""
    layers = [layer for layer in index.layers if layer.receptive_field is not None] or list(index.layers)
    layers = [layer for layer in layers if layer.units >= COLUMNS] or layers
    if not index.manifest.generation or not layers:
        return "", 0
    layer = layers[len(layers) // 3]
    return sprite_url(index, layer.name, 0), min(layer.units, COLUMNS)
