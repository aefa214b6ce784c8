"""A study as the front page shows it: its size, when it was swept, where it comes from, whether it is out of date."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from lurk.config.options import Settings
from lurk.config.staleness import differences
from lurk.records import canonical, printable
from lurk.service.grid_view import sprite_urls
from lurk.service.urls import NO_ADDRESS, Address
from lurk.storage.index import Index
from lurk.storage.manifest import study_made_with
from lurk.storage.sprites import COLUMNS

LOOK_AGAIN_S = 5.0


@dataclass(frozen=True)
class StudyView:
    """A study as the pages name it.

    Args:
        name: Name in addresses.
        title: Model and image set in words.
        model: Model source.
        images: Image source.
        weights: `pretrained`, `untrained`, a file's name; empty before the model was loaded.
        notice: Warnings that must be seen, such as untrained weights; empty without any.
        ready: Whether its index can be opened.
        label: The name that the user gave it; empty if it has none of its own.
        stale: How its index differs from what its options and files now say; empty if it does not.
        count: Number of images.
        layers: Number of layers.
        units: Number of units, over all layers.
        swept: When the index was last written, in seconds since 1970; None before its first checkpoint.
        preprocessing: What is done to an image.
        weight_hash: SHA-256 of the weights.
        channels: Number of channels of an image as it is shown, 3 for colours; 0 before its sweep has begun.
        notes: What was understood of what the user gave, a sentence each.
        strip: Address of a sprite whose first row stands for the study; empty before the first checkpoint.
        strip_units: Number of units in that row.
    """

    name: str
    title: str
    model: str
    images: str
    weights: str = ""
    notice: str = ""
    ready: bool = False
    label: str = ""
    stale: str = ""
    count: int = 0
    layers: int = 0
    units: int = 0
    swept: float | None = None
    preprocessing: str = ""
    weight_hash: str = ""
    strip: Address = NO_ADDRESS
    strip_units: int = 0
    channels: int = 0
    notes: tuple[str, ...] = ()


class StudyViews:
    """Makes the views of studies; looks at most every five seconds whether a study is out of date."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._stale: dict[str, tuple[float, object, str]] = {}
        self._facts: WeakKeyDictionary[Index, dict[str, Any]] = WeakKeyDictionary()

    def view(self, name: str, settings: Settings, index: Index | None, notice: str) -> StudyView:
        """A study as the pages name it.

        Args:
            name: Name of the study.
            settings: Its options.
            index: Its index, None before its first sweep has begun.
            notice: Warnings that must be seen.

        Returns:
            The view.
        """
        model, data = printable(settings.model), printable(settings.data)
        facts: dict[str, Any] = {"notice": notice, "label": settings.name or ""}
        if index is not None:
            if index not in self._facts:  # computed once for each time that the index is opened
                self._facts[index] = _facts(index)
            facts |= self._facts[index] | {"ready": True, "stale": self.stale(name, settings)}
        return StudyView(name, f"{Path(model).name} on {Path(data).name}", model, data, **facts)

    def stale(self, name: str, settings: Settings) -> str:
        """How a study's index differs from what its options and files now say; empty if it does not."""
        then, now = study_made_with(self._cache, name), time.monotonic()
        compared = (canonical(then), settings)
        looked, compared_before, found = self._stale.get(name, (0.0, None, ""))
        if compared_before != compared or now - looked > LOOK_AGAIN_S:
            found = ", ".join(differences(then, settings))
            self._stale[name] = (now, compared, found)
        return found


def _facts(index: Index) -> dict[str, Any]:
    """The fields of a view that an index says."""
    manifest, provenance = index.manifest, index.manifest.provenance
    strip, strip_units = _strip(index)
    return {
        "weights": provenance.weights,
        "count": manifest.images,
        "layers": len(manifest.layers),
        "units": sum(layer.units for layer in manifest.layers),
        "swept": _written(index),
        "preprocessing": provenance.preprocessing,
        "weight_hash": provenance.weight_hash,
        "channels": manifest.channels,
        "notes": manifest.notes,
        "strip": strip,
        "strip_units": strip_units,
    }


def _written(index: Index) -> float | None:
    """When the last checkpoint was written, in seconds since 1970; None before the first."""
    try:
        return (index.folder / "manifest.json").stat().st_mtime if index.manifest.generation else None
    except OSError:
        return None


def _strip(index: Index) -> tuple[Address, int]:
    """Sprite of an early layer with small patches, and the units in its first row; ("", 0) before a checkpoint."""
    layers = [layer for layer in index.layers if layer.receptive_field is not None] or list(index.layers)
    layers = [layer for layer in layers if layer.units >= COLUMNS] or layers
    if not index.manifest.generation or not layers:
        return NO_ADDRESS, 0
    layer = layers[len(layers) // 3]
    return sprite_urls(index, layer.name)[0], min(layer.units, COLUMNS)
