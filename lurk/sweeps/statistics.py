"""All running statistics of a sweep as one, and their form on disk."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from lurk.sweeps.reducers import Batch, ClassMoments, Distribution, Reducer, TopK
from lurk.sweeps.sketch import Sketch

Array = np.ndarray[Any, np.dtype[Any]]


class Statistics:
    """All running statistics of a sweep, as one."""

    def __init__(self, units: int, top: int, classes: int) -> None:
        self.top_max = TopK(units, top, "maximum")
        self.top_mean = TopK(units, top, "mean")
        self.sketch = Sketch(units)
        self._classes, self._distribution = ClassMoments(units, classes), Distribution(units)
        self._parts: dict[str, Reducer] = {
            "top_max": self.top_max,
            "top_mean": self.top_mean,
            "classes": self._classes,
            "distribution": self._distribution,
        }

    def add(self, batch: Batch) -> set[int]:
        """Take in a batch; returns the images of it that entered some top list."""
        for part in self._parts.values():
            part.add(batch)
        return set(self.top_max.entered.tolist()) | set(self.top_mean.entered.tolist())

    def merge(self, other: "Statistics") -> None:
        """Take in all that another shard has seen."""
        for name, part in self._parts.items():
            part.merge(other._parts[name])
        self.sketch.merge(other.sketch)

    def settle(self) -> None:
        """Give what does not depend on the order in which it was added, to the last bit; nothing is added any more."""
        self._classes.settle()
        self._distribution.settle()

    def states(self) -> dict[str, Array]:
        """Arrays by `<reducer>_<tensor>`, units first."""
        parts = {**{name: part.state() for name, part in self._parts.items()}, "sketch": self.sketch.state()}
        return {f"{name}_{key}": tensor.numpy() for name, part in parts.items() for key, tensor in part.items()}

    def load(self, arrays: Mapping[str, Array]) -> None:
        """Restore what `states` gave."""
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        parts: dict[str, Reducer | Sketch] = {**self._parts, "sketch": self.sketch}
        for name, part in parts.items():
            part.load(
                {key.removeprefix(f"{name}_"): value for key, value in tensors.items() if key.startswith(f"{name}_")}
            )

    def hit_images(self) -> set[int]:
        """Images that are in some top list."""
        images = np.unique(
            np.concatenate([top.state()["image"].numpy().ravel() for top in (self.top_max, self.top_mean)])
        )
        return {int(image) for image in images if image >= 0}
