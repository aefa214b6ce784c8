"""All running statistics of a sweep: a reducer that is made of reducers."""

from typing import Self

from lurk.storage.manifest import Manifest
from lurk.storage.npy_file import Array
from lurk.sweeps.moments import ClassMoments, Distribution
from lurk.sweeps.reducers import Batch, Reducer, State
from lurk.sweeps.sketch import Sketch
from lurk.sweeps.top_k import TopK


class Statistics:
    """All running statistics of a sweep; its arrays are called `<reducer>_<array>`."""

    def __init__(self, units: int, top: int, classes: int) -> None:
        self._lists = {
            "top_max": TopK(units, top, "maximum", "before"),
            "top_mean": TopK(units, top, "mean", "before_mean"),
        }
        self.reducers: dict[str, Reducer] = {
            **self._lists,
            "classes": ClassMoments(units, classes),
            "distribution": Distribution(units),
            "sketch": Sketch(units),
        }

    @classmethod
    def for_index(cls, manifest: Manifest) -> Self:
        """Empty statistics of the sizes that an index has."""
        units = sum(layer.units for layer in manifest.layers)
        return cls(units, min(manifest.top, max(manifest.images, 1)), len(manifest.classes or ()))

    def add(self, batch: Batch) -> None:
        """Take in a batch."""
        for reducer in self.reducers.values():
            reducer.add(batch)

    def merge(self, state: State) -> None:
        """Take in all that another sweep of the same layers and classes has seen."""
        for name, reducer in self.reducers.items():
            prefix = f"{name}_"
            reducer.merge({key.removeprefix(prefix): state[key] for key in state if key.startswith(prefix)})

    def state(self) -> dict[str, Array]:
        """Arrays by `<reducer>_<array>`, units first but for `classes_count`."""
        return {
            f"{name}_{key}": array for name, reducer in self.reducers.items() for key, array in reducer.state().items()
        }

    def entered(self) -> set[int]:
        """The images of the last batch that entered some top list."""
        return {image for top in self._lists.values() for image in top.entered.tolist()}

    def hit_images(self) -> set[int]:
        """The images that are in some top list."""
        return {image for top in self._lists.values() for image in top.images()}
