"""One run of a sweep, from where an index stands: batch after batch through the model, with a checkpoint now and then.

What is on disk after a checkpoint is all that a later run needs.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from lurk.errors import CacheError, Cancelled, ImagesError, ModelError
from lurk.graph.device import moved_to
from lurk.graph.hooks import tapped
from lurk.graph.plan import Plan
from lurk.images.image_set import ImageSet
from lurk.models.model import Model
from lurk.storage.index_writer import IndexWriter
from lurk.storage.webp import encode_view, to_view
from lurk.sweeps.measurement import Measurement
from lurk.sweeps.statistics import Statistics

CPU_BATCH, GPU_BATCH = 16, 128
FIRST_CHECKPOINT_S, LONGEST_CHECKPOINT_S = 1.0, 30.0
CHECKPOINT_COST = 0.1
USER_ERRORS = (  # what the user's own preprocessing or network may raise
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
Progress = Callable[[int, int, float], None]


def usual_batch(place: torch.device) -> int:
    """Images a forward pass on a device, where nobody has said how many."""
    return CPU_BATCH if place.type == "cpu" else GPU_BATCH


def run_through(  # noqa: PLR0913 - what is run, and how
    writer: IndexWriter,
    model: Model,
    images: ImageSet,
    place: torch.device,
    *,
    batch_size: int,
    workers: int | None,
    progress: Progress | None,
    span: range | None = None,
) -> None:
    """Run images through a model, from where a writer stands.

    Args:
        writer: Where the states go; it tells which layers, and how far an earlier run came.
        model: The model.
        images: The image set.
        place: Where the model runs.
        batch_size: Images a forward pass.
        workers: Threads that read and preprocess images; by default one a core, at most 8.
        progress: Called after each batch; see `sweep`.
        span: Numbers of the images of a shard, whose first begins a batch; by default all, which also ends the index.
    """
    layers = dict(writer.manifest.provenance.parameters)["layers"]
    threads = workers or min(8, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads, "images") as pool, moved_to(model.module, place):
        plan = model.plan(None if layers is None else str(layers))  # a trace holds for the device that it was made on
        run = _Run(model, images, plan, writer, pool)
        with torch.inference_mode():
            run.through(range(len(images)) if span is None else span, batch_size, place, progress)
            run.end(is_whole=span is None)


def _layout(place: torch.device) -> torch.memory_format:
    """Order of an image's samples in memory: on a CPU the one whose forward pass rounds least, on a GPU the fastest."""
    return torch.contiguous_format if place.type == "cpu" else torch.channels_last


class _Run:
    """One run of a sweep, from where the index stands to the end."""

    def __init__(
        self, model: Model, images: ImageSet, plan: Plan, writer: IndexWriter, pool: ThreadPoolExecutor
    ) -> None:
        self._model, self._images, self._plan, self._writer, self._pool = model, images, plan, writer, pool
        self._measurement = Measurement(plan.layers, len(images))
        kept = min(writer.manifest.top, max(len(images), 1))
        self._statistics = Statistics(self._measurement.units, kept, len(images.classes or ()))
        arrays = writer.load()
        if arrays:
            self._statistics.load(arrays)
        self._skipped = list(writer.manifest.skipped)
        self._views: list[Future[None]] = []
        self._done = writer.manifest.done

    def through(self, span: range, batch_size: int, place: torch.device, progress: Progress | None) -> None:
        """Take batch after batch, with a checkpoint now and then."""
        first, last = max(self._writer.manifest.done, span.start), span.stop
        done, clock, kind = first, _Clock(), self._model.dtype
        with tapped(self._plan, self._measurement.receive) as forward:
            for numbers, tensors in self._batches(range(first, last, batch_size), last):
                self._take(numbers, tensors, lambda x: forward(x.to(place, kind, memory_format=_layout(place))))
                done = min(done + batch_size, last)
                try:
                    if progress:
                        progress(done, len(self._images), clock.rate(done - first))
                except (Cancelled, KeyboardInterrupt):
                    self._checkpoint(done)
                    raise
                if done < last and clock.is_due():
                    clock.spent(self._checkpoint(done))
        self._done = last

    def end(self, *, is_whole: bool) -> None:
        """Write the last checkpoint, of the index or of a shard."""
        if is_whole:
            self._wait_for_views()
            self._writer.keep_views(self._statistics.hit_images())
            if len(self._skipped) == self._done:
                self._checkpoint(self._done)
                raise none_usable(self._skipped, self._done)
            self._statistics.settle()
        self._checkpoint(self._done, complete=True)

    def _batches(self, starts: range, last: int) -> Iterator[tuple[list[int], list[Tensor]]]:
        """Read ahead by two batches; yields image numbers and float32 (c, h, w) tensors of those that can be used."""
        ahead: list[list[Future[Tensor | str]]] = []
        for at in range(len(starts) + 2):
            if at < len(starts):
                numbers = range(starts[at], min(starts[at] + starts.step, last))
                ahead.append([self._pool.submit(self._read, number) for number in numbers])
            if at >= 2:
                yield self._usable(starts[at - 2], ahead.pop(0))

    def _usable(self, start: int, futures: list[Future[Tensor | str]]) -> tuple[list[int], list[Tensor]]:
        numbers, tensors = [], []
        for number, future in enumerate(futures, start):
            read = future.result()
            if isinstance(read, str):
                self._skip(number, read)
            else:
                numbers.append(number)
                tensors.append(read)
        return numbers, tensors

    def _read(self, number: int) -> Tensor | str:
        """A preprocessed image, or the reason why it cannot be used."""
        try:
            image = self._images.read(number)
            tensor = image if isinstance(image, Tensor) else self._model.preprocess(image)
        except ImagesError as error:
            return str(error)
        except USER_ERRORS as error:
            return f"preprocessing failed: {type(error).__name__}: {error}"
        if tuple(tensor.shape) != self._plan.input_shape:
            return f"is {tuple(tensor.shape)} after preprocessing; the model takes {self._plan.input_shape}"
        return tensor.float()

    def _skip(self, number: int, reason: str) -> None:
        self._skipped.append((number, self._images.paths[number], reason))

    def _take(self, numbers: list[int], tensors: list[Tensor], forward: Callable[[Tensor], object]) -> None:
        """Measure a batch; images to which the network answers with NaN or infinity are skipped."""
        while numbers:
            images = torch.tensor(numbers)
            self._measurement.begin(images)
            try:
                forward(torch.stack(tensors))
            except USER_ERRORS as error:
                reason = str(error).strip().splitlines() or [type(error).__name__]
                raise ModelError(f"the model fails on a batch of {len(numbers)} images: {reason[0]}") from error
            unusable = self._measurement.unusable()
            if not unusable:
                break
            for number, layer in unusable.items():
                self._skip(number, f"the network answers with NaN or infinity at layer {layer}")
            usable = [at for at, number in enumerate(numbers) if number not in unusable]
            numbers, tensors = [numbers[at] for at in usable], [tensors[at] for at in usable]
        if numbers:
            labels = [self._images.labels[number] for number in numbers]
            batch = self._measurement.batch(torch.tensor([-1 if label is None else label for label in labels]))
            self._measurement.add_to(self._statistics.sketch)
            entered = self._statistics.add(batch)
            for number, tensor in zip(numbers, tensors, strict=True):
                if number in entered:
                    self._views.append(self._pool.submit(self._keep_view, number, tensor))

    def _keep_view(self, number: int, tensor: Tensor) -> None:
        self._writer.put_view(number, encode_view(to_view(tensor.numpy(), self._model.mean, self._model.std)))

    def _checkpoint(self, done: int, *, complete: bool = False) -> float:
        """Write a checkpoint; returns the seconds that it took."""
        began = time.monotonic()
        try:
            self._wait_for_views()
            states, skipped = self._statistics.states(), tuple(self._skipped)
            self._writer.checkpoint(states, done=done, complete=complete, skipped=skipped)
        except OSError as error:
            reason = f"cannot write to the cache: {error.strerror or error}"
            raise CacheError(f"{reason}; make room or choose another with --cache") from error
        return time.monotonic() - began

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
        """Note a checkpoint and what it cost."""
        self._last = time.monotonic()
        grown = min(self._interval_s * 1.5, LONGEST_CHECKPOINT_S)
        self._interval_s = max(grown, seconds / CHECKPOINT_COST)
