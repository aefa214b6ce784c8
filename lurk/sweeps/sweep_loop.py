"""One run of a sweep, from its last checkpoint on: batch after batch through the model.

What is on disk after a checkpoint is all that a later run needs.
"""

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import torch
from torch import Tensor

from lurk.errors import CacheError, Cancelled, ImagesError
from lurk.graph.device import moved_to
from lurk.graph.plan import Plan
from lurk.images.image_set import ImageSet
from lurk.models.model import Model
from lurk.storage.index_writer import IndexWriter
from lurk.storage.webp import encode_view, to_view
from lurk.sweeps.image_reader import ImageReader, ReadBatch, reading_threads
from lurk.sweeps.measurement import Measurement
from lurk.sweeps.passes import Pass, passes, run_in_turn
from lurk.sweeps.prepared_images import PreparedImages
from lurk.sweeps.statistics import Statistics
from lurk.sweeps.sweep_options import SweepOptions

FIRST_CHECKPOINT_S, LONGEST_CHECKPOINT_S = 1.0, 30.0
CHECKPOINT_COST = 0.1
Progress = Callable[[int, int, float], None]


def run_images(
    writer: IndexWriter,
    model: Model,
    images: ImageSet,
    options: SweepOptions,
    *,
    progress: Progress | None = None,
    shard: range | None = None,
) -> None:
    """Run images through a model, from where an earlier run stopped, and write what their units answered.

    Args:
        writer: Of the index or of a shard; its manifest says which layers, and how far an earlier run came.
        model: The model.
        images: The image set.
        options: Batch size, reading threads and device.
        progress: Called after each batch; see `sweep`.
        shard: Numbers of a shard's images, the first of which begins a batch; by default all images, and the index is
            finished.
    """
    model, layers = model.for_images(images), dict(writer.manifest.provenance.parameters)["layers"]
    threads, place = options.workers or min(8, os.cpu_count() or 1), options.place()
    with reading_threads(threads) as pool, moved_to(model.module, place):
        plan = model.plan(None if layers is None else str(layers))  # a trace holds for the device that it was made on
        run = _Run(model, images, plan, writer, pool)
        reader = ImageReader(PreparedImages(model, images, options.store).read, plan.input_shape, pool)
        with torch.inference_mode():
            run.sweep(reader, range(len(images)) if shard is None else shard, options.images_a_batch(), progress)
        if shard is None:
            run.finish_index()
        else:
            run.finish_shard()


class _Run:
    """One run of a sweep, from the writer's last checkpoint on."""

    def __init__(
        self, model: Model, images: ImageSet, plan: Plan, writer: IndexWriter, pool: ThreadPoolExecutor
    ) -> None:
        self._model, self._images, self._plan, self._writer, self._pool = model, images, plan, writer, pool
        self._statistics = Statistics.for_index(writer.manifest)
        state = writer.load()
        if state:
            self._statistics.merge(state)
        self._skipped = list(writer.manifest.skipped)
        self._views: list[Future[None]] = []
        self._done = writer.manifest.done

    def sweep(self, reader: ImageReader, numbers: range, batch_size: int, progress: Progress | None) -> None:
        """Take batch after batch, with a checkpoint now and then."""
        first, last = max(self._done, numbers.start), numbers.stop
        clock = _Clock()
        with passes(self._model, self._plan, len(self._images)) as turns:
            for batch, turn in run_in_turn(reader.batches(range(first, last), batch_size), turns):
                self._add(batch, turn)
                self._done = batch.end
                try:
                    if progress:
                        progress(self._done, len(self._images), clock.rate(self._done - first))
                except (Cancelled, KeyboardInterrupt):
                    self._write(self._writer.checkpoint)
                    raise
                if self._done < last and clock.is_due():
                    began = time.monotonic()
                    self._write(self._writer.checkpoint)
                    clock.spent(time.monotonic() - began)
        self._done = last

    def finish_shard(self) -> None:
        """Write the last checkpoint of a shard, which is merged from it."""
        self._write(partial(self._writer.checkpoint, complete=True))

    def finish_index(self) -> None:
        """Write the finished index, or raise an ImagesError if not one image could be used."""
        self._wait_for_views()
        self._writer.keep_views(self._statistics.hit_images())
        if len(self._skipped) == self._done:
            self._write(self._writer.checkpoint)
            raise none_usable(self._skipped, self._done)
        self._write(self._writer.finish)

    def _add(self, batch: ReadBatch, turn: Pass) -> None:
        """Add a batch that was run; images to which the network answers with NaN or infinity are skipped."""
        for number, reason in batch.failed:
            self._skip(number, reason)
        numbers, images = batch.numbers, batch.images
        while numbers:
            failed = turn.measurement.unusable()
            if not failed:
                self._count(numbers, images, turn.measurement)
                return
            for number, layer in failed.items():
                self._skip(number, f"the network answers with NaN or infinity at layer {layer}")
            usable = [at for at, number in enumerate(numbers) if number not in failed]
            numbers, images = tuple(numbers[at] for at in usable), images[usable]
            if numbers:
                turn.run(numbers, images)

    def _count(self, numbers: Sequence[int], images: Tensor, measurement: Measurement) -> None:
        """Add the measured batch to the statistics, and keep the views of the images that entered a top list."""
        labels = [self._images.labels[number] for number in numbers]
        batch = measurement.batch(torch.tensor([-1 if label is None else label for label in labels]))
        self._statistics.add(batch)
        entered = self._statistics.entered()
        for number, image in zip(numbers, images, strict=True):
            if number in entered:
                self._views.append(self._pool.submit(self._keep_view, number, image))

    def _skip(self, number: int, reason: str) -> None:
        self._skipped.append((number, self._images.paths[number], reason))

    def _keep_view(self, number: int, image: Tensor) -> None:
        self._writer.put_view(number, encode_view(to_view(self._model.displayed(image).numpy())))

    def _write(self, write: Callable[..., None]) -> None:
        """Write the statistics with `checkpoint` or `finish` of the writer."""
        try:
            self._wait_for_views()
            write(self._statistics.state(), done=self._done, skipped=tuple(self._skipped))
        except OSError as error:
            reason = f"cannot write to the cache: {error.strerror or error}"
            raise CacheError(f"{reason}; make room or choose another with --cache") from error

    def _wait_for_views(self) -> None:
        for view in self._views:
            view.result()
        self._views.clear()


def none_usable(skipped: Sequence[tuple[int, str, str]], total: int) -> ImagesError:
    """The error of an image set of which not one image can be used."""
    reason = f"; the first, {skipped[0][1]}: {skipped[0][2]}" if skipped else ""
    return ImagesError(f"not one of the {total} images can be used{reason}")


class _Clock:
    """Says how fast a sweep goes and when a checkpoint is due: soon at first, then at a bounded share of the time."""

    def __init__(self) -> None:
        self._began = self._last = time.monotonic()
        self._interval_s = FIRST_CHECKPOINT_S

    def rate(self, images: int) -> float:
        """Images a second since the start."""
        return images / max(time.monotonic() - self._began, 1e-6)

    def is_due(self) -> bool:
        """Whether it is time for a checkpoint."""
        return time.monotonic() - self._last >= self._interval_s

    def spent(self, seconds: float) -> None:
        """Note that a checkpoint was written, and how long that took."""
        self._last = time.monotonic()
        grown = min(self._interval_s * 1.5, LONGEST_CHECKPOINT_S)
        self._interval_s = max(grown, seconds / CHECKPOINT_COST)
