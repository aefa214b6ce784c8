"""`sweep`: the sweep without a browser."""

import argparse
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from tqdm import tqdm

from lurk.commands import SHARED_QUEUE, STUDY, command
from lurk.config.gpus import worker_count
from lurk.config.options import Settings
from lurk.config.queue_address import LOCAL
from lurk.config.staleness import made_with
from lurk.errors import LurkError, QueueError
from lurk.jobs.lanes import Lane
from lurk.jobs.method_request import MOST_UNITS
from lurk.jobs.open_queue import open_queue
from lurk.jobs.queue import Queue
from lurk.storage.cache_dir import prepare_cache
from lurk.storage.diagnosis import read_summary
from lurk.storage.index import Index
from lurk.storage.index_writer import show_in_study
from lurk.storage.manifest import index_folder
from lurk.worker.memory import keep_freed_memory
from lurk.worker.supervisor import Supervisor

POLL_S, LONGEST_SILENCE_S = 0.5, 60.0


@command(
    "run the images through the model and leave the results in the cache",
    (*STUDY, *SHARED_QUEUE, "config"),
    arguments={"--with-pictures": {"action": "store_true", "help": "draw the picture of every active unit afterwards"}},
    reads_config=True,
)
def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Sweep, with a progress bar on a terminal."""
    cache = prepare_cache(settings.cache)
    keep_freed_memory()
    if settings.queue != LOCAL:
        index = _swept_by_workers(settings, cache)
    elif worker_count(settings.device) > 1:
        index = _swept_by_gpus(settings, cache)
    else:
        index = _swept_here(settings, cache)
    manifest = index.manifest
    units = sum(layer.units for layer in index.layers)
    print(f"{manifest.images} images, {len(index.layers)} layers, {units} units: {index.folder}")
    for _, path, reason in manifest.skipped:
        print(f"skipped {path}: {reason}", file=sys.stderr)
    if arguments.with_pictures:
        _draw_all(settings, index, cache)
    return 0


def _swept_here(settings: Settings, cache: Path) -> Index:
    """Sweep in this process."""
    from lurk.sweeps.image_store import open_image_store
    from lurk.sweeps.sweep import describe, run_sweep
    from lurk.sweeps.sweep_options import SweepOptions
    from lurk.worker.doctor_task import examine_study
    from lurk.worker.model_cache import cached_model, image_set

    made = made_with(settings)
    if settings.shards > 1:
        raise LurkError("--shards is for several workers: name a Redis with --queue, or leave --shards out")
    model, images = cached_model(settings), image_set(settings)
    manifest = describe(model, images, SweepOptions(settings.top, settings.layers))
    for words in filter(None, (manifest.notice, *manifest.notes)):
        print(f"lurk: {words}", file=sys.stderr)
    with tqdm(total=len(images), unit=" images", disable=None) as bar:

        def progress(done: int, _total: int, _rate: float) -> None:
            bar.update(done - bar.n)

        def begin(folder: Path) -> None:
            show_in_study(cache, settings.study, folder, made)
            bar.set_postfix_str("checking the preprocessing")
            for warning in examine_study(model, images, settings, folder, lambda _done, _total: None):
                bar.write(f"lurk: {warning}", file=sys.stderr)
            if checked := read_summary(folder, manifest.provenance):
                bar.write(f"lurk: {checked}", file=sys.stderr)
            bar.set_postfix_str("")

        store = open_image_store(cache, settings.keep_images)
        options = SweepOptions(
            settings.top, settings.layers, settings.batch_size, settings.workers, settings.device, store
        )
        return run_sweep(
            model,
            images,
            cache=cache,
            options=options,
            progress=progress,
            began=begin,
        )


def _swept_by_gpus(settings: Settings, cache: Path) -> Index:
    """Sweep with a worker for each GPU of this machine; after an interrupt they end, and the next sweep goes on."""
    with Supervisor(cache, workers=worker_count(settings.device), stuck_s=settings.stuck_after):
        try:
            return _swept_by_workers(settings, cache)
        except KeyboardInterrupt:
            open_queue(settings.queue, cache).cancel(settings.sweep_spec().key)
            raise


def _swept_by_workers(settings: Settings, cache: Path) -> Index:
    """Submit the sweep to workers and show its progress; after an interrupt those of a Redis carry on."""
    queue, spec = open_queue(settings.queue, cache), settings.sweep_spec()
    job = queue.submit(spec, Lane.SWEEP, again=True)
    if settings.queue != LOCAL and not queue.workers_alive():
        print("lurk: no worker is there yet; start some with: python -m lurk worker", file=sys.stderr, flush=True)
    silent_since = time.monotonic()
    with tqdm(total=job.total, unit=" images", disable=None) as bar:
        while job.state in ("queued", "running"):
            time.sleep(POLL_S)
            try:
                job, silent_since = queue.get(spec.key) or job, time.monotonic()
            except QueueError:  # for example while the Redis restarts
                if time.monotonic() - silent_since > LONGEST_SILENCE_S:
                    raise
            bar.total, bar.n = job.total, job.done
            bar.set_postfix_str(job.note)
    if job.state != "done" or job.result is None:
        raise LurkError(job.error[1] if job.error else f"the sweep was {job.state}; ask for it again")
    return Index(index_folder(cache, str(job.result["index"])))


@dataclass(frozen=True)
class _Terminal:
    """Shows the progress of a job on the terminal, as a worker does in the queue."""

    cache: Path
    bar: "tqdm[NoReturn]"
    before: int
    units: int
    queue: Queue | None = None
    kept: dict[str, Any] = field(default_factory=dict)

    def report(self, done: int, total: int, note: str = "", rate: float | None = None) -> None:
        """Show the progress."""
        self.bar.n = round(self.before + self.units * done / max(total, 1), 1)
        self.bar.refresh()

    def give_way(self) -> None:
        """Do nothing: no other job waits."""

    def step_aside(self, *, is_seen: bool, is_draft: bool) -> None:
        """Do nothing: no other job waits."""


def _draw_all(settings: Settings, index: Index, cache: Path) -> None:
    """Draw the pictures of the active units that have none yet."""
    from lurk.jobs.method_request import DEFAULT_PICTURE, MethodRequest
    from lurk.methods import METHODS
    from lurk.worker.loaded_study import open_study
    from lurk.worker.picture_tasks import draw_pictures

    offer, before = METHODS[DEFAULT_PICTURE].spec, 0
    drawn = {layer.name: _drawn(index, layer.name) for layer in index.layers}
    total = sum(map(len, drawn.values()))
    with (
        tqdm(total=total, unit=" pictures", disable=None) as bar,
        open_study(settings, index) as study,
    ):
        for layer, units in drawn.items():
            for at in range(0, len(units), MOST_UNITS):
                part = units[at : at + MOST_UNITS]
                shown = _Terminal(cache, bar, before, len(part))
                draw_pictures(MethodRequest("pictures", layer, part).completed(offer), study, shown)
                before += len(part)
                shown.report(1, 1)
    print(f"{total} pictures: {index.folder}")
    skipped = sum(layer.units for layer in index.layers) - total
    if skipped:
        print(
            f"{skipped} units without a picture, since they are never active or constant; visualize --units draws them"
        )


def _drawn(index: Index, layer: str) -> tuple[int, ...]:
    """The units of a layer whose pictures are drawn: those that are active, and not constant."""
    return tuple(unit for unit, state in enumerate(index.states(layer)) if state not in ("dead", "constant"))
