"""The worker that cuts a sweep into shards: it runs some of them itself, and merges all of them into one index."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from lurk.errors import BusyError, IndexFormatError
from lurk.images.image_set import ImageSet
from lurk.models.model import Model
from lurk.storage.cache_dir import prepare_cache
from lurk.storage.index import Index
from lurk.storage.index_writer import IndexWriter
from lurk.storage.manifest import generation_folder, read_manifest, shard_folder
from lurk.storage.npy_file import stored_arrays
from lurk.sweeps.shards import Shard, cut, is_complete, sweep_shard
from lurk.sweeps.statistics import Statistics
from lurk.sweeps.sweep import describe, make_index
from lurk.sweeps.sweep_loop import none_usable
from lurk.sweeps.sweep_options import SweepOptions

WAIT_S = 0.5
FIRST_MERGE_S = 5.0
MERGE_COST = 0.05
Skipped = tuple[tuple[int, str, str], ...]


class OtherWorkers(Protocol):
    """The queue, as the worker that merges uses it: other workers run shards that it asks for."""

    def ask(self, index: str, shard: Shard) -> None:
        """Ask for a shard of the index of that key."""

    def done(self, index: str, shard: Shard) -> int | None:
        """Images done of a shard that another worker is running now; None if no worker is."""

    def report(self, done: int, total: int, note: str, rate: float) -> None:
        """Report the progress of the whole sweep; may raise Cancelled."""

    def give_way(self) -> None:
        """Let more urgent work run now; may raise Cancelled."""


def sweep_in_shards(  # noqa: PLR0913 - a sweep's parts, and who else runs it
    model: Model,
    images: ImageSet,
    *,
    cache: str | Path,
    options: SweepOptions,
    shards: int,
    others: OtherWorkers,
    began: Callable[[Path], object] = str,
) -> Index:
    """Sweep in shards together with other workers, and merge.

    Args:
        model: The model.
        images: The image set.
        cache: The cache directory, which all workers see.
        options: The options of the sweep.
        shards: How many shards.
        others: The other workers.
        began: Called with the index's folder as soon as it can be opened.

    Returns:
        The finished index: the top lists and counts of one worker's sweep, and its means and deviations but for
        rounding.

    Raises:
        none_usable: An ImagesError: not one image could be used.
        BusyError: Another process is sweeping into the same index.
    """

    def fill(writer: IndexWriter) -> None:
        parts = cut(len(images), options.images_a_batch(), shards)
        sweep = _ShardedSweep(model, images, writer, parts, options, others)
        sweep.run()
        sweep.merge()

    return make_index(prepare_cache(cache), describe(model, images, options), images, fill, began)


class _ShardedSweep:
    """A sweep in shards, seen from the worker that merges."""

    def __init__(
        self,
        model: Model,
        images: ImageSet,
        writer: IndexWriter,
        shards: Sequence[Shard],
        options: SweepOptions,
        others: OtherWorkers,
    ) -> None:
        self._model, self._images, self._writer = model, images, writer
        self._shards, self._options, self._others = shards, options, others
        self._began = self._last_merge = self._last_report = time.monotonic()
        self._interval_s = FIRST_MERGE_S
        self._running: tuple[Shard, int] | None = None
        self._done_before = self._images_done()

    def run(self) -> None:
        """Ask for every shard, and run those that nobody has begun, the last one first, until all are complete."""
        for shard in self._unfinished():
            self._others.ask(self._writer.folder.name, shard)
        while left := self._unfinished():
            free = [shard for shard in left if self._others.done(self._writer.folder.name, shard) is None]
            if not (free and self._run_shard(free[-1])):
                self._report(0)
                time.sleep(WAIT_S)

    def _unfinished(self) -> list[Shard]:
        return [shard for shard in self._shards if not is_complete(self._folder(shard))]

    def _folder(self, shard: Shard) -> Path:
        return shard_folder(self._writer.folder, shard.name)

    def _run_shard(self, shard: Shard) -> bool:
        """Run a shard here; returns False if another process is running it."""

        def progress(done: int) -> None:
            self._running = (shard, done)
            self._report(WAIT_S)

        try:
            sweep_shard(self._model, self._images, self._writer.folder, shard, self._options, progress)
        except BusyError:
            return False
        finally:
            self._running = None
        return True

    def _images_done(self) -> int:
        return sum(self._done(shard) for shard in self._shards)

    def _done(self, shard: Shard) -> int:
        """Images done of a shard, by whoever runs it."""
        if self._running and self._running[0] == shard:
            return self._running[1]
        try:
            kept = read_manifest(self._folder(shard)).done - shard.first
        except IndexFormatError:
            kept = 0
        if kept == shard.last - shard.first:
            return kept
        return max(kept, self._others.done(self._writer.folder.name, shard) or 0)

    def _report(self, pause_s: float) -> None:
        """Report the progress unless that was done within the last `pause_s`; now and then, show what there is."""
        self._others.give_way()
        now = time.monotonic()
        if now - self._last_report < pause_s:
            return
        self._last_report = now
        through = len(self._shards) - len(self._unfinished())
        note = f"{through} of {len(self._shards)} shards are through"
        done = self._images_done()
        self._others.report(done, len(self._images), note, self._rate(done))
        if now - self._last_merge >= self._interval_s:
            self._show()
            self._last_merge = time.monotonic()
            self._interval_s = max(1.5 * self._interval_s, (self._last_merge - now) / MERGE_COST)

    def _rate(self, done: int) -> float:
        return (done - self._done_before) / max(time.monotonic() - self._began, 1e-6)

    def _show(self) -> None:
        """Publish what the shards have on disk, so that the page shows something true while the sweep runs."""
        try:
            statistics, done, skipped = self._merged()
        except (OSError, IndexFormatError, KeyError):  # a shard has just put a newer checkpoint in its place
            return
        if done:
            self._writer.checkpoint(statistics.state(), done=done, skipped=skipped, shards=len(self._shards))

    def merge(self) -> None:
        """Write the index that the shards make together; an ImagesError if not one image could be used."""
        statistics, done, skipped = self._merged()
        if done != len(self._images):
            raise IndexFormatError(f"the shards of {self._writer.folder} are gone; sweep again")
        self._others.report(done, done, "", self._rate(done))
        self._writer.keep_views(statistics.hit_images())
        if len(skipped) == done:
            self._writer.checkpoint(statistics.state(), done=done, skipped=skipped, shards=1)
            raise none_usable(skipped, done)
        self._writer.finish(statistics.state(), done=done, skipped=skipped, shards=1)

    def _merged(self) -> tuple[Statistics, int, Skipped]:
        """The last checkpoints of all shards as one, the number of images done, and the images skipped."""
        statistics, done = Statistics.for_index(self._writer.manifest), 0
        skipped: Skipped = ()
        for shard in self._shards:
            folder = self._folder(shard)
            try:
                manifest = read_manifest(folder)
            except IndexFormatError:
                continue
            if manifest.generation:
                statistics.merge(stored_arrays(generation_folder(folder, manifest.generation)))
                done += manifest.done - shard.first
                skipped += manifest.skipped
        return statistics, done, skipped
