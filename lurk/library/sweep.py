"""The public `sweep`: its index knows model and images, so that units draw pictures and hits can be read."""

from collections.abc import Callable
from pathlib import Path

from torch import nn

from lurk.errors import whole_number
from lurk.images.image_set import ImageSet
from lurk.images.load_images import load_images
from lurk.library.index import Index
from lurk.models.load_model import load_model
from lurk.models.model import Model
from lurk.storage.cache_dir import prepare_cache
from lurk.sweeps.image_store import open_image_store
from lurk.sweeps.sweep import run_sweep
from lurk.sweeps.sweep_loop import Progress
from lurk.sweeps.sweep_options import SweepOptions


def sweep(  # noqa: PLR0913 - the public signature: two things and their options
    model: Model | nn.Module | str,
    images: ImageSet | str | Path | object,
    *,
    top: int = 9,
    cache: str | Path = "cache",
    layers: str | None = None,
    batch_size: int | None = None,
    workers: int | None = None,
    device: str = "auto",
    keep_images: int = 0,
    progress: Progress | None = None,
    began: Callable[[Path], object] = str,
) -> Index:
    """Run an image set through a model and keep what each unit answers to; a sweep that was cut short is resumed.

    Args:
        model: A loaded model, or anything that `load_model` takes.
        images: A loaded image set, or anything that `load_images` takes.
        top: Length of the top lists.
        cache: The cache directory; the index goes below it.
        layers: Regular expression that narrows or widens the default layers.
        batch_size: Images a forward pass; 16 on a CPU and 128 on a GPU by default.
        workers: Threads that read and preprocess images; by default one a core, at most 8.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
        keep_images: Megabytes of disk for preprocessed images below the cache directory, so that a sweep of a second
            model with the same preprocessing need not decode them; 0 to keep none.
        progress: Called after each batch with the images done, the images in all and the images a second; it may raise
            Cancelled.
        began: Called with the index's folder as soon as it can be opened.

    Returns:
        The finished index; at once if it is there already.

    Raises:
        ModelError: The model cannot be run on the images.
        ImagesError: Not one image could be used.
        LurkError: A number is below 1.
        Cancelled: `progress` raised it; what was done is kept.
    """
    batch_size = None if batch_size is None else whole_number(batch_size, "batch_size")
    workers = None if workers is None else whole_number(workers, "workers")
    cache = prepare_cache(cache)
    store = open_image_store(cache, whole_number(keep_images, "keep_images"))
    options = SweepOptions(whole_number(top, "top"), layers, batch_size, workers, device, store)
    if not isinstance(images, ImageSet):
        images = load_images(images, cache=cache)
    if not isinstance(model, Model):
        model = load_model(model)
    model = model.for_images(images)
    found = run_sweep(model, images, cache=cache, options=options, progress=progress, began=began)
    return Index.of(found, model, images)
