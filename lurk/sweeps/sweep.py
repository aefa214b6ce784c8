"""The sweep: one pass of an image set through a model, all layers at once, into an index. It knows no queue.

A sweep is cut into batches of consecutive images. What is on disk after a checkpoint is all that a later run needs:
killed at any moment, it goes on from there and ends with the index that an undisturbed run leaves.
"""

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from torch import nn

from lurk.errors import LurkError
from lurk.graph.device import choose_device
from lurk.graph.plan import Plan
from lurk.images.image_set import ImageSet
from lurk.images.load_images import load_images
from lurk.models.load_model import load_model
from lurk.models.model import Model
from lurk.records import VERSION, Provenance
from lurk.storage.cache_dir import prepare_cache
from lurk.storage.index import Index
from lurk.storage.index_writer import drop_shards, open_index, write_index
from lurk.storage.manifest import Manifest, index_folder
from lurk.sweeps.loop import Progress, run_through, usual_batch

METHOD_VERSION = 1


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
    progress: Progress | None = None,
    began: Callable[[Path], object] = str,
) -> Index:
    """Run an image set through a model and keep what each unit answered to; a sweep begun earlier is resumed.

    Args:
        model: What `load_model` gives, or what it takes.
        images: What `load_images` gives, or what it takes.
        top: Length of the top lists.
        cache: The cache directory; the index goes below it.
        layers: Regular expression that narrows or widens the default layers.
        batch_size: Images a forward pass; 16 on a CPU and 128 on a GPU by default.
        workers: Threads that read and preprocess images; by default one a core, at most 8.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
        progress: Called after each batch with the images done, the images in all and the images a second; it may raise
            Cancelled.
        began: Called with the index's folder as soon as it can be opened.

    Returns:
        The complete index; at once when it is there already.

    Raises:
        ModelError: The model cannot be run on the images.
        ImagesError: Not one image could be used.
        LurkError: A number is below 1.
        Cancelled: `progress` raised it; what was done is kept.
    """
    _check_numbers(top=top, batch_size=batch_size, workers=workers)
    cache, place = prepare_cache(cache), choose_device(device)
    if not isinstance(images, ImageSet):
        images = load_images(images, cache=cache)
    if not isinstance(model, Model):
        model = load_model(model)
    plan = model.plan(layers)
    manifest = describe(model, images, plan, top=top, layers=layers)
    ready = open_index(cache, manifest)
    if ready is not None:
        began(ready.folder)
        return ready
    entries = zip(images.paths, images.labels, strict=True)
    with write_index(cache, manifest, entries) as writer:
        began(writer.folder)
        if writer.manifest.shards > 1 and not writer.manifest.complete:
            writer.begin_anew()  # what it holds is of several shards, each as far as it is
        if not writer.manifest.complete:
            size = batch_size or usual_batch(place)
            run_through(writer, model, images, place, batch_size=size, workers=workers, progress=progress)
            drop_shards(writer.folder)
    return Index(index_folder(cache, manifest.provenance.key))


def _check_numbers(**numbers: int | None) -> None:
    for name, number in numbers.items():
        if number is not None and number < 1:
            raise LurkError(f"{name} must be 1 or more, not {number}")


def describe(model: Model, images: ImageSet, plan: Plan, *, top: int, layers: str | None) -> Manifest:
    """The manifest of a sweep that has not begun.

    Args:
        model: The model.
        images: The image set.
        plan: The model's layers.
        top: Length of the top lists.
        layers: The layer expression.

    Returns:
        A manifest whose provenance is the identity of the index.
    """
    provenance = Provenance(
        weight_hash=model.weight_hash,
        model=model.source,
        weights=model.weights,
        preprocessing=model.preprocessing,
        image_set=images.fingerprint,
        method="sweep",
        method_version=METHOD_VERSION,
        parameters=(("layers", layers), ("top", top)),
        software=software(),
    )
    return Manifest(
        provenance=provenance,
        layers=plan.layers,
        classes=images.classes,
        class_note=images.note if images.classes is None else "",
        image_set=images.name,
        images=len(images),
        input_shape=plan.input_shape,
        top=top,
        notice="; ".join(part for part in (model.notice, _left_out(plan)) if part),
    )


def software() -> tuple[tuple[str, str], ...]:
    """(package, version) of what results depend on, sorted by name but for this package, which is last."""
    packages = ("numpy", "pillow", "torch", "torchvision")
    return (*((name, version(name)) for name in packages), ("torchlurk", VERSION))


def _left_out(plan: Plan) -> str:
    names = ", ".join(plan.left_out[:5]) + (", …" if len(plan.left_out) > 5 else "")
    return f"left out, as they do not keep the images of a batch apart: {names}" if names else ""
