"""Models and image sets that a worker keeps in memory from one job to the next."""

from functools import lru_cache
from pathlib import Path

from lurk.errors import ImagesError, WeightsError
from lurk.images import ImageSet, load_images
from lurk.index import Index
from lurk.models import Model, load_model
from lurk.settings import Settings


def warm_model(source: str, weights: str | None) -> Model:
    """The model of a study, kept in memory for the next job; loaded again when one of its files has changed."""
    files = [Path(part) for part in (source.partition(":")[0], weights or "")]
    return _model(source, weights, tuple(file.stat().st_mtime_ns for file in files if file.is_file()))


@lru_cache(maxsize=2)
def _model(source: str, weights: str | None, _changed: tuple[int, ...]) -> Model:
    return load_model(source, weights=weights)


def image_set(settings: Settings) -> ImageSet:
    """The image set of a study, as it now is."""
    return load_images(settings.data, classes=settings.classes, sample=settings.sample, cache=settings.cache)


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
    model = warm_model(settings.model, settings.weights)
    if _weight_hash(model) != index.manifest.provenance.weight_hash:
        raise WeightsError("the weights have changed since the sweep; sweep again")
    return model


@lru_cache(maxsize=2)
def _weight_hash(model: Model) -> str:
    return model.weight_hash


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
    images = _images(settings.data, settings.classes, settings.sample, settings.cache, index.key)
    if images.fingerprint != index.manifest.provenance.image_set:
        _images.cache_clear()
        raise ImagesError("the images have changed since the sweep; sweep again")
    return images


@lru_cache(maxsize=4)
def _images(data: str, classes: str | None, sample: int | None, cache: str, _index: str) -> ImageSet:
    return load_images(data, classes=classes, sample=sample, cache=cache)
