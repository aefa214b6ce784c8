"""A sweep in shards as seen by the worker that plans it, takes part and merges: the index is that of one worker."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from lurk.errors import BusyError, IndexFormatError
from lurk.graph.device import choose_device
from lurk.images.image_set import ImageSet
from lurk.models.model import Model
from lurk.storage.cache_dir import prepare_cache
from lurk.storage.index import Index
from lurk.storage.index_writer import IndexWriter, drop_shards, open_index, write_index
from lurk.storage.manifest import generation_folder, read_manifest, shard_folder
from lurk.sweeps.loop import none_usable, usual_batch
from lurk.sweeps.shards import Options, Shard, cut, is_complete, sweep_shard
from lurk.sweeps.statistics import Array, Statistics
from lurk.sweeps.sweep import describe

WAIT_S = 0.5
FIRST_MERGE_S = 5.0
MERGE_COST = 0.05


class Helpers(Protocol):
    """The other workers, as far as the one that merges knows of them."""

    def ask(self, index: str, shard: Shard) -> None:
        """Ask for a shard of an index, by its key."""

    def done(self, index: str, shard: Shard) -> int | None:
        """Images of a shard that another worker runs just now; None where none does."""

    def report(self, done: int, total: int, note: str, rate: float) -> None:
        """Tell the progress of the whole; may raise Cancelled."""

    def give_way(self) -> None:
        """Let more urgent work run now; may raise Cancelled."""


def sweep_in_shards(  # noqa: PLR0913 - a sweep's parts, and who helps
    model: Model,
    images: ImageSet,
    *,
    shards: int,
    cache: str | Path,
    options: Options,
    helpers: Helpers,
    began: Callable[[Path], object] = str,
) -> Index:
    """Sweep in shards together with other workers, and merge.

    Args:
        model: The model.
        images: The image set.
        shards: How many shards.
        cache: The cache directory, which all workers see.
        options: The options of the sweep.
        helpers: The other workers.
        began: Called with the index's folder as soon as it can be opened.

    Returns:
        The complete index, as one worker's sweep would leave it.

    Raises:
        none_usable: An ImagesError: not one image could be used.
        BusyError: Another process is sweeping into the same index.
    """
    cache = prepare_cache(cache)
    manifest = describe(model, images, model.plan(options.layers), top=options.top, layers=options.layers)
    ready = open_index(cache, manifest)
    if ready is not None:
        began(ready.folder)
        return ready
    entries = zip(images.paths, images.labels, strict=True)
    with write_index(cache, manifest, entries) as writer:
        began(writer.folder)
        if not writer.manifest.complete:
            size = options.batch_size or usual_batch(choose_device(options.device))
            parts = cut(len(images), size, shards)
            whole = _Whole(model, images, writer, parts, options, helpers)
            whole.sweep()
            whole.merge()
            drop_shards(writer.folder)
    return Index(writer.folder)


class _Whole:
    """A sweep in shards, as the worker sees it that plans it, takes part in it, and merges."""

    def __init__(
        self,
        model: Model,
        images: ImageSet,
        writer: IndexWriter,
        shards: Sequence[Shard],
        options: Options,
        helpers: Helpers,
    ) -> None:
        self._model, self._images, self._writer = model, images, writer
        self._shards, self._options, self._helpers = shards, options, helpers
        self._began = self._merged = self._told = time.monotonic()
        self._interval_s = FIRST_MERGE_S
        self._mine: tuple[Shard, int] | None = None
        self._first = sum(self._done(shard) for shard in shards)

    def sweep(self) -> None:
        """Ask for every shard, and take those that nobody has begun, from the last on, until all are through."""
        for shard in self._shards:
            if not self._is_done(shard):
                self._helpers.ask(self._writer.folder.name, shard)
        while left := [shard for shard in self._shards if not self._is_done(shard)]:
            free = [shard for shard in left if self._helpers.done(self._writer.folder.name, shard) is None]
            if not (free and self._take(free[-1])):
                self._report(0)
                time.sleep(WAIT_S)

    def _take(self, shard: Shard) -> bool:
        """Sweep a shard here, unless another process does."""

        def told(done: int) -> None:
            self._mine = (shard, done)
            self._report(WAIT_S)

        try:
            sweep_shard(self._model, self._images, self._writer.folder, shard, self._options, told)
        except BusyError:
            return False
        finally:
            self._mine = None
        return True

    def _is_done(self, shard: Shard) -> bool:
        return is_complete(shard_folder(self._writer.folder, shard.name))

    def _done(self, shard: Shard) -> int:
        """Images of a shard that are dealt with."""
        if self._mine and self._mine[0] == shard:
            return self._mine[1]
        try:
            kept = read_manifest(shard_folder(self._writer.folder, shard.name)).done - shard.first
        except IndexFormatError:
            kept = 0
        if kept == shard.last - shard.first:
            return kept
        return max(kept, self._helpers.done(self._writer.folder.name, shard) or 0)

    def _report(self, pause_s: float) -> None:
        """Tell the progress, unless it was told just now; from time to time, show what there is."""
        self._helpers.give_way()
        now = time.monotonic()
        if now - self._told < pause_s:
            return
        self._told = now
        done = sum(self._done(shard) for shard in self._shards)
        through = sum(self._is_done(shard) for shard in self._shards)
        rate = (done - self._first) / max(now - self._began, 1e-6)
        self._helpers.report(done, len(self._images), f"{through} of {len(self._shards)} shards are through", rate)
        if now - self._merged >= self._interval_s:
            self._show()
            self._merged = time.monotonic()
            self._interval_s = max(1.5 * self._interval_s, (self._merged - now) / MERGE_COST)

    def _show(self) -> None:
        """Publish what the shards have on disk, so that the page shows something true meanwhile."""
        try:
            found = self._states()
        except (OSError, IndexFormatError, KeyError):  # a shard has just put a newer checkpoint in its place
            return
        if found is not None:
            statistics, done, skipped = found
            self._writer.checkpoint(statistics.states(), done=done, skipped=skipped, shards=len(self._shards))

    def merge(self) -> None:
        """Write the index that the shards make together."""
        found = self._states()
        if found is None or found[1] != len(self._images):
            raise IndexFormatError(f"the shards of {self._writer.folder} are gone; sweep again")
        statistics, total, skipped = found
        self._helpers.report(total, total, "", (total - self._first) / max(time.monotonic() - self._began, 1e-6))
        self._writer.keep_views(statistics.hit_images())
        usable = len(skipped) < total
        if usable:
            statistics.settle()
        self._writer.checkpoint(statistics.states(), done=total, complete=usable, skipped=skipped, shards=1)
        if not usable:
            raise none_usable(skipped, total)

    def _states(self) -> tuple[Statistics, int, tuple[tuple[int, str, str], ...]] | None:
        """The shards' statistics as one, images done, images skipped; None before any shard's first checkpoint."""
        merged: Statistics | None = None
        done = 0
        skipped: list[tuple[int, str, str]] = []
        for shard in self._shards:
            folder = shard_folder(self._writer.folder, shard.name)
            try:
                manifest = read_manifest(folder)
            except IndexFormatError:
                continue
            if manifest.generation:
                found = self._loaded(generation_folder(folder, manifest.generation))
                if merged is None:
                    merged = found
                else:
                    merged.merge(found)
                done += manifest.done - shard.first
                skipped += manifest.skipped
        return None if merged is None else (merged, done, tuple(skipped))

    def _loaded(self, folder: Path) -> Statistics:
        kept = min(self._writer.manifest.top, max(len(self._images), 1))
        units = sum(layer.units for layer in self._writer.manifest.layers)
        statistics = Statistics(units, kept, len(self._images.classes or ()))
        arrays: dict[str, Array] = {file.stem: np.load(file, allow_pickle=False) for file in folder.glob("*.npy")}
        statistics.load(arrays)
        return statistics
