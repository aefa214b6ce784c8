"""The sweep: one pass of an image set through a model, all layers at once, into an index. It knows no queue.

A sweep is cut into batches of consecutive images. A sweep that is killed goes on from its last checkpoint and ends with
the same index as one that was left alone.
"""

from collections.abc import Callable
from pathlib import Path

from lurk.errors import LurkError
from lurk.graph.plan import Plan
from lurk.images.image_set import ImageSet
from lurk.models.model import Model
from lurk.records import Provenance, software
from lurk.storage.cache_dir import prepare_cache
from lurk.storage.index import Index
from lurk.storage.index_writer import IndexWriter, drop_shards, open_index, write_index
from lurk.storage.manifest import Manifest
from lurk.sweeps.sweep_loop import Progress, run_images
from lurk.sweeps.sweep_options import SweepOptions

METHOD_VERSION = 2


def run_sweep(
    model: Model,
    images: ImageSet,
    *,
    cache: str | Path,
    options: SweepOptions,
    progress: Progress | None = None,
    began: Callable[[Path], object] = str,
) -> Index:
    """Run an image set through a model and keep what each unit answers to; a sweep that was cut short is resumed.

    Args:
        model: The model.
        images: The image set.
        cache: The cache directory; the index goes below it.
        options: The options of the sweep.
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
    _check_numbers(top=options.top, batch_size=options.batch_size, workers=options.workers)
    options.place()  # an unknown device is an error even if the index is finished
    cache = prepare_cache(cache)

    def fill(writer: IndexWriter) -> None:
        if writer.manifest.shards > 1:
            writer.begin_anew()  # its checkpoint is merged of shards, each of which had got somewhere else
        run_images(writer, model, images, options, progress=progress)

    return make_index(cache, describe(model, images, options), images, fill, began)


def make_index(
    cache: Path,
    manifest: Manifest,
    images: ImageSet,
    fill: Callable[[IndexWriter], None],
    began: Callable[[Path], object],
) -> Index:
    """Open a finished index, or make it.

    Args:
        cache: The cache directory.
        manifest: The manifest of the sweep, as `describe` makes it.
        images: The image set.
        fill: Called with the writer of an index that is not finished; it finishes it.
        began: Called with the index's folder as soon as it can be opened.

    Returns:
        The finished index.
    """
    ready = open_index(cache, manifest)
    if ready is not None:
        began(ready.folder)
        return ready
    with write_index(cache, manifest, zip(images.paths, images.labels, strict=True)) as writer:
        began(writer.folder)
        if not writer.manifest.complete:
            fill(writer)
            drop_shards(writer.folder)
    return Index(writer.folder)


def _check_numbers(**numbers: int | None) -> None:
    for name, number in numbers.items():
        if number is not None and number < 1:
            raise LurkError(f"{name} must be 1 or more, not {number}")


def describe(model: Model, images: ImageSet, options: SweepOptions) -> Manifest:
    """The manifest of a sweep that has not begun.

    Args:
        model: The model.
        images: The image set.
        options: Which layers, and how long the top lists are.

    Returns:
        A manifest whose provenance is the identity of the index.
    """
    model = model.for_images(images)
    plan = model.plan(options.layers)
    provenance = Provenance(
        weight_hash=model.weight_hash,
        model=model.full_source,
        weights=model.weights,
        preprocessing=model.preprocessing,
        image_set=images.fingerprint,
        method="sweep",
        method_version=METHOD_VERSION,
        parameters=(("layers", options.layers), ("top", options.top)),
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
        top=options.top,
        notice="; ".join(part for part in (model.notice, images.notice, _left_out(plan)) if part),
        channels=model.normalisation.samples,
        outputs=model.classes,
        notes=tuple(note for note in (*model.notes, plan.scores.note, *images.notes) if note),
    )


def _left_out(plan: Plan) -> str:
    names = ", ".join(plan.left_out[:5]) + (", …" if len(plan.left_out) > 5 else "")
    reason = "they do not keep the images of a batch apart"
    if plan.random:
        reason = f"the model answers differently each time, from {plan.random} on (random in evaluation mode)"
    return f"left out, as {reason}: {names}" if names else ""
