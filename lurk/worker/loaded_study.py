"""A study in a worker: its model on the device, its index and its images. Also what a worker gives to every task."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from lurk.config.options import Settings
from lurk.errors import ImagesError
from lurk.graph.device import choose_device, moved_to
from lurk.graph.plan import Plan
from lurk.images.image_set import ImageSet
from lurk.jobs.queue import Queue
from lurk.models.model import Model
from lurk.models.network_input import preprocess_image
from lurk.storage.index import Index
from lurk.sweeps.image_store import open_image_store
from lurk.sweeps.prepared_images import PreparedImages
from lurk.worker.model_cache import images_of, model_of

Result = dict[str, object]


class Context(Protocol):
    """What a worker gives to a task."""

    @property
    def cache(self) -> Path:
        """The cache directory."""

    @property
    def queue(self) -> Queue | None:
        """The queue, in which a task may submit more jobs; None if the task runs without one."""

    def report(self, done: int, total: int, note: str = "", rate: float | None = None) -> None:
        """Report the progress; raises Cancelled when the job is to stop."""

    @property
    def kept(self) -> dict[str, Any]:
        """What a paused task goes on with; empty for a new one."""

    def give_way(self) -> None:
        """Let more urgent jobs run now."""

    def step_aside(self, *, is_seen: bool, is_draft: bool) -> None:
        """Raise Paused if another job should run first, by how much is to be seen of this one; see `RunningJob`."""


@dataclass
class Study:
    """A model on its device, its index and its image set.

    Args:
        model: The model of the index.
        index: The index.
        settings: How to load the images.
    """

    model: Model
    index: Index
    settings: Settings

    @property
    def plan(self) -> Plan:
        """The layers as the sweep chose them."""
        expression = dict(self.index.manifest.provenance.parameters)["layers"]
        return self.model.plan(None if expression is None else str(expression))

    @cached_property
    def images(self) -> ImageSet:
        """The image set of the index."""
        return images_of(self.index, self.settings)

    def image(self, number: int) -> Tensor:
        """An image as the network takes it, float (c, h, w)."""
        if not 0 <= number < len(self.images):
            raise ImagesError(f"there is no image {number}; the image set has {len(self.images)}")
        return preprocess_image(self.model, self._prepared.read(number))

    @cached_property
    def _prepared(self) -> PreparedImages:
        store = open_image_store(self.index.folder.parents[1], self.settings.keep_images)
        return PreparedImages(self.model, self.images, store)

    def best_image(self, layer: str, unit: int) -> Tensor:
        """The image that excites a unit most so far, from which its picture may start."""
        hits = self.index.unit(layer, unit).hits_max
        if not hits:
            raise ImagesError(
                "no image excites this unit: it is constant, or no image has been read yet; start from noise"
            )
        return self.image(hits[0].image)


@contextmanager
def open_study(settings: Settings, index: Index) -> Iterator[Study]:
    """Load the model of an index and keep it on its device until the block ends."""
    model = model_of(index, settings)
    with torch.inference_mode(False), moved_to(model.module, choose_device(settings.device)):
        yield Study(model, index, settings)
