"""The index as `lurk.sweep` gives it: its layers and units draw themselves, its hits can be read."""

from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lurk.errors import ImagesError, ModelError
from lurk.images.image_set import ImageSet, readable
from lurk.library.copies import copied
from lurk.library.layer import Layer
from lurk.library.unit import Unit
from lurk.models.model import Model, hash_weights
from lurk.records import Floats, LayerInfo
from lurk.storage.index import Index as StoredIndex
from lurk.storage.npy_file import Array

if TYPE_CHECKING:
    import pandas as pd


class Index(StoredIndex):
    """A study's results as of one checkpoint of its sweep.

    >>> index = lurk.sweep("resnet18", "path/to/folder")  # doctest: +SKIP
    >>> index.unit("layer1.0.conv1", 12).plot_top()  # doctest: +SKIP
    >>> index.layer("layer1.0.conv1").plot_grid()  # doctest: +SKIP
    >>> index.frame().nlargest(10, "selectivity")  # doctest: +SKIP
    """

    def __init__(
        self, folder: str | PathLike[str], *, model: Model | None = None, images: ImageSet | None = None
    ) -> None:
        """Open an index.

        Args:
            folder: Its folder, `<cache>/index/<key>`.
            model: The model that was swept, if units are to draw pictures.
            images: The image set that was swept, if hits are to be read; `load_images` loads it.

        Raises:
            IndexFormatError: The folder holds no index of this format.
            ModelError: The model has other weights than the one that was swept.
            ImagesError: The images are others than those that were swept.
        """
        super().__init__(Path(folder))
        swept = self.manifest.provenance
        if model is not None and model.weight_hash != swept.weight_hash:
            raise ModelError(f"{model.name} has other weights than the model of this index, {swept.model}; sweep it")
        if images is not None and images.fingerprint != swept.image_set:
            raise ImagesError(f"image set {images.name!r} is not that of this index, {self.manifest.image_set!r}")
        self.images = images
        self.model = model if model is None or images is None else model.for_images(images)
        self._weights = "" if model is None else hash_weights(model.module)

    @classmethod
    def of(cls, stored: StoredIndex, model: Model, images: ImageSet) -> "Index":
        """The index of a sweep that has just ended, with its model and images.

        Args:
            stored: The index.
            model: The model that was swept.
            images: The image set that was swept.

        Returns:
            The index.
        """
        index = cls(stored.folder)
        index.model, index.images = model, images
        index._weights = hash_weights(model.module)
        return index

    @property
    def stale(self) -> str:
        """How the model has changed since it was swept; empty if it has not, or if the index does not know its model.

        The model's weights are read for it.
        """
        if self.model is None or hash_weights(self.model.module) == self._weights:
            return ""
        return f"the weights of {self.model.name} have changed since they were swept; sweep again"

    @cached_property
    def stored(self) -> StoredIndex:
        """The same index without model and images, as the page sees it."""
        stored = StoredIndex(self.folder)
        stored.manifest = self.manifest
        return stored

    @property
    def layers(self) -> list[LayerInfo]:
        """The layers, in the order of the forward pass; each draws its grid."""
        return [self.layer(info.name) for info in self.manifest.layers]

    def layer(self, name: str) -> Layer:
        """The layer of that name; LayerError if there is none."""
        return copied(Layer, super().layer(name), _index=self)

    def unit(self, layer: str, unit: int) -> Unit:
        """All that is known of one unit, as a record that draws its figures; LayerError if there is no such unit."""
        made = copied(Unit, super().unit(layer, unit), _index=self)
        if self.images is not None:
            for kind in ("hits_max", "hits_mean"):
                object.__setattr__(made, kind, tuple(readable(hit, self.images) for hit in getattr(made, kind)))
        return made

    def rows(self, array: str, layer: str) -> Array:
        """The rows of an array of the index that are a layer's units; see `array`."""
        return self.array(array)[self._place(layer)[1]]

    def class_profile(self, layer: str) -> Floats:
        """Answers of a layer's units to each class.

        Args:
            layer: Name of the layer.

        Returns:
            float64 (u, y, 2, 2); the last axes are (of the spatial max, of the spatial mean) and (mean, deviation).
        """
        if not self.manifest.generation:
            return np.full((self.layer(layer).units, len(self.classes or ()), 2, 2), np.nan)
        return self._profile(self._place(layer)[1])

    def frame(self) -> "pd.DataFrame":
        """All units, a row each, as a pandas frame.

        Returns:
            Columns `layer`, `kind`, `unit`, `state`, `mean`, `std`, `fraction_positive`; of the image with the highest
            value `best_score`, `best_before` (the activation), `best_image`, `best_path`, `best_class`; of the class
            with the highest mean of that value `strongest_class`, `strongest_class_mean`; and `selectivity`.

        Raises:
            LurkError: pandas is not installed.
        """
        from lurk.library.frame import frame

        return frame(self)

    def _repr_html_(self) -> str:
        from lurk.library.cards import index_card

        return index_card(self)

    def __getstate__(self) -> dict[str, Any]:
        kept = {name: self.__dict__[name] for name in ("folder", "manifest", "key", "_layers")}
        return kept | {"_arrays": {}, "model": None, "images": None, "_weights": ""}
