"""The models and image sets that a worker keeps in memory between jobs; the models' weights stay within a budget."""

import gc
import threading
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from weakref import WeakKeyDictionary, WeakValueDictionary

from torch.nn.parameter import is_lazy

from lurk.config.options import Settings, settings_from
from lurk.config.weights_name import split_weights
from lurk.errors import ImagesError, WeightsError
from lurk.images.image_set import ImageSet
from lurk.images.load_images import load_images
from lurk.models.load_model import load_model
from lurk.models.model import Model
from lurk.models.user_code import activate, files_of
from lurk.storage.index import Index
from lurk.worker.memory import memory_bytes

SHARE = 0.25
Key = tuple[str, str | None, str | None, tuple[int, ...]]


class ModelCache:
    """Loaded models. When their weights take more than the budget, the least recently used models are dropped.

    The model used last stays even if it alone is larger. A dropped model that a job still uses is not loaded twice.
    """

    def __init__(self, budget_bytes: int | None = None) -> None:
        """Begin empty.

        Args:
            budget_bytes: How much memory the weights may take; by default what `LURK_MEMORY` says, else a quarter of
                the machine's.
        """
        self._budget_bytes = budget_bytes
        self._kept: OrderedDict[Key, tuple[Model, int]] = OrderedDict()
        self._alive: WeakValueDictionary[Key, Model] = WeakValueDictionary()
        self._lock = threading.Lock()

    @property
    def bytes(self) -> int:
        """Memory that the weights of the kept models take."""
        return sum(size for _, size in self._kept.values())

    def __len__(self) -> int:
        """How many models are kept."""
        return len(self._kept)

    def get(self, source: str, weights: str | None, load: Callable[[], Model], output: str | None = None) -> Model:
        """Return a model; load it if it is not kept, or if one of its files has changed since.

        Args:
            source: Where the model comes from.
            weights: Where its weights come from.
            load: Loads it.
            output: Which of its outputs holds the class scores.

        Returns:
            The model.
        """
        code, file = Path(source.rpartition(":")[0]), Path(split_weights(weights or "")[0])

        def key() -> Key:
            files = [*files_of(code), file]
            return source, weights, output, tuple(file.stat().st_mtime_ns for file in files if file.is_file())

        with self._lock:
            model = self._alive.get(key())
            if model is None:
                for old in [old for old in self._kept if old[:3] == (source, weights, output)]:
                    del self._kept[old]
                model = load()
                self._alive[key()] = model
            activate(code)
            self._kept[key()] = model, weight_bytes(model)
            self._kept.move_to_end(key())
            self._drop()
        return model

    def _drop(self) -> None:
        """Drop the least recently used models until the rest is within the budget."""
        budget = self._budget_bytes or _budget_bytes()
        is_over = False
        while len(self._kept) > 1 and self.bytes > budget:
            self._kept.popitem(last=False)
            is_over = True
        if is_over:
            gc.collect()  # a traced network refers to itself


def weight_bytes(model: Model) -> int:
    """Memory that a model's weights and buffers take; what several modules share counts once."""
    tensors = {id(tensor): tensor for tensor in (*model.module.parameters(), *model.module.buffers())}
    return sum(tensor.nbytes for tensor in tensors.values() if not is_lazy(tensor))


def _budget_bytes() -> int:
    """The value of `LURK_MEMORY`, which a worker inherits; else a share of the machine's memory."""
    given = settings_from({}).memory
    return given << 20 if given is not None else int(memory_bytes() * SHARE)


MODELS = ModelCache()
_HASHES: WeakKeyDictionary[Model, str] = WeakKeyDictionary()


def cached_model(settings: Settings) -> Model:
    """Return the model of a study and keep it for the next job; load it again if one of its files has changed."""
    source, weights, output = settings.model, settings.weights, settings.output
    return MODELS.get(source, weights, lambda: load_model(source, weights=weights, output=output), output)


def image_set(settings: Settings) -> ImageSet:
    """The image set of a study, as it now is."""
    return load_images(
        settings.data,
        classes=settings.classes,
        label_column=settings.label_column,
        sample_range=settings.sample_range,
        sample=settings.sample,
        cache=settings.cache,
    )


def model_of(index: Index, settings: Settings) -> Model:
    """The model that an index was made with.

    Args:
        index: The index.
        settings: How to load the model.

    Returns:
        The model.

    Raises:
        WeightsError: Its weights have changed since.
    """
    model = cached_model(settings)
    if _weight_hash(model) != index.manifest.provenance.weight_hash:
        raise WeightsError("the weights have changed since the sweep; sweep again")
    return model


def _weight_hash(model: Model) -> str:
    """Hash of a model's weights, computed once; it does not keep the model."""
    if model not in _HASHES:
        _HASHES[model] = model.weight_hash
    return _HASHES[model]


def images_of(index: Index, settings: Settings) -> ImageSet:
    """The image set that an index was made with, listed once.

    Args:
        index: The index.
        settings: How to load the images.

    Returns:
        The image set.

    Raises:
        ImagesError: It has changed since.
    """
    images = _images(settings, index.key)
    if images.fingerprint != index.manifest.provenance.image_set:
        _images.cache_clear()
        raise ImagesError("the images have changed since the sweep; sweep again")
    return images


@lru_cache(maxsize=4)
def _images(settings: Settings, _index: str) -> ImageSet:
    return image_set(settings)
