"""The task of each kind of job: a sweep or a method runs, and its results go into the index."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path

from lurk.config.gpus import worker_count
from lurk.config.options import Settings
from lurk.config.staleness import made_with
from lurk.errors import BusyError, CacheError, LurkError
from lurk.jobs.method_request import MethodRequest
from lurk.methods.run_method import method_specs
from lurk.records import JobSpec, UnitRef
from lurk.storage.index import Index
from lurk.storage.index_writer import show_in_study
from lurk.storage.manifest import index_folder, study_index
from lurk.storage.render_store import open_renders
from lurk.storage.results import publish_offers
from lurk.storage.sprites import draw_ahead
from lurk.sweeps.image_store import open_image_store
from lurk.sweeps.shard_merge import sweep_in_shards
from lurk.sweeps.shards import is_done, sweep_shard
from lurk.sweeps.sweep import run_sweep
from lurk.sweeps.sweep_options import SweepOptions
from lurk.sweeps.verify import verify
from lurk.worker.doctor_task import examine_study
from lurk.worker.loaded_study import Context, Result, Study, open_study
from lurk.worker.map_tasks import draw_maps, draw_sanity
from lurk.worker.model_cache import cached_model, image_set
from lurk.worker.picture_tasks import draw_pictures
from lurk.worker.shard_jobs import ShardJobs, shard_of

BUSY_S = 1.0
SHARDS_A_WORKER = 2
SPRITES_COST = 0.1


def run(spec: JobSpec, context: Context) -> Result:
    """Run a job.

    Args:
        spec: The spec; its kind is a name in the table of tasks.
        context: The cache and the queue; takes the progress.

    Returns:
        The job's result, as JSON values.

    Raises:
        LurkError: There is no such kind of job, or the job failed by a user's mistake.
    """
    if spec.kind not in TASKS:
        raise LurkError(f"no kind of job is called {spec.kind!r}; known are: {', '.join(sorted(TASKS))}")
    return TASKS[spec.kind](spec, context)


def _sweep(spec: JobSpec, context: Context) -> Result:
    settings = Settings.from_spec(spec, context.cache)
    made = made_with(settings)
    context.report(0, 0, "loading the model")
    model = cached_model(settings)
    context.report(0, 0, "looking through the images")
    images = image_set(settings)

    def progress(done: int, total: int, rate: float) -> None:
        context.report(done, total, "", rate)
        context.give_way()

    def examined(done: int, total: int) -> None:
        context.report(0, 0, f"checking the preprocessing on image {done} of {total}")
        context.give_way()

    def show(folder: Path) -> None:
        publish_offers(folder, method_specs(model.plan(settings.layers)))
        show_in_study(context.cache, spec.study, folder, made)
        examine_study(model, images, settings, folder, examined)

    began = time.monotonic()
    options = _options(settings, context)
    shards = settings.shards if settings.shards > 1 else _shards_by_default(settings.device)
    if shards > 1 and context.queue is not None:
        shard_jobs = ShardJobs(spec, context, context.queue)
        whole = partial(sweep_in_shards, shards=shards, options=options, others=shard_jobs)
        with shard_jobs:
            index = _wait_while_busy(context, whole, model, images, cache=settings.cache, began=show)
    else:
        index = _wait_while_busy(
            context, run_sweep, model, images, cache=settings.cache, options=options, progress=progress, began=show
        )
    context.report(len(images), len(images), "drawing the tiles of the grids")
    with suppress(CacheError):  # a page can draw them too
        draw_ahead(index, open_renders(context.cache), SPRITES_COST * (time.monotonic() - began), context.give_way)
    return {"index": index.key, "images": index.manifest.images, "skipped": len(index.manifest.skipped)}


def _shards_by_default(device: str) -> int:
    """Into how many shards a sweep is cut if nobody says: one, or several a worker where each GPU has one."""
    workers = worker_count(device)
    return 1 if workers == 1 else workers * SHARDS_A_WORKER


def _options(settings: Settings, context: Context) -> SweepOptions:
    store = open_image_store(context.cache, settings.keep_images)
    return SweepOptions(settings.top, settings.layers, settings.batch_size, settings.workers, settings.device, store)


def _wait_while_busy(context: Context, work: Callable[..., Index], *given: object, **options: object) -> Index:
    """Do some work; while another process does the same, wait, and then find it done."""
    while True:
        try:
            return work(*given, **options)
        except BusyError:
            context.report(0, 0, "another process is sweeping the same study; waiting for it")
            time.sleep(BUSY_S)


def _verify(spec: JobSpec, context: Context) -> Result:
    settings = Settings.from_spec(spec, context.cache)
    folder = study_index(context.cache, spec.study)
    if folder is None:
        raise LurkError(f"study {spec.study!r} has no index yet; wait for its sweep to begin")
    index, unit = Index(folder).open_all(), UnitRef(str(spec.get("layer")), int(spec.get("unit") or 0))
    model, images = cached_model(settings), image_set(settings)
    checks = []
    for check in verify(model, images, index, [unit]):
        checks.append(check)
        context.report(len(checks), 0)
    wrong = [asdict(check) for check in checks if not check.agrees]
    return {
        "checked": len(checks),
        "agree": len(checks) - len(wrong),
        "wrong": wrong,
        "generation": index.manifest.generation,
    }


def _shard(spec: JobSpec, context: Context) -> Result:
    """Sweep a shard, unless it is complete or another process is sweeping it."""
    shard, folder = shard_of(spec), index_folder(context.cache, str(spec.get("index")))
    if is_done(folder, shard):
        return {"images": shard.last - shard.first}
    settings = Settings.from_spec(spec, context.cache)
    context.report(0, 0, "loading the model")
    model, images = cached_model(settings), image_set(settings)

    def progress(done: int) -> None:
        context.report(done, shard.last - shard.first, "", done / max(time.monotonic() - began, 1e-6))
        context.give_way()

    began = time.monotonic()
    options = _options(settings, context)
    with suppress(BusyError):
        sweep_shard(model, images, folder, shard, options, progress)
    return {"images": shard.last - shard.first}


def _method(draw: Callable[[MethodRequest, Study, Context], Result]) -> Callable[[JobSpec, Context], Result]:
    """The task of a method's job: read the request and load its study."""

    def task(spec: JobSpec, context: Context) -> Result:
        index = Index(index_folder(context.cache, str(spec.get("index")))).open_all()
        with open_study(Settings.from_spec(spec, context.cache), index) as study:
            return draw(MethodRequest.from_spec(spec), study, context)

    return task


TASKS: dict[str, Callable[[JobSpec, Context], Result]] = {
    "sweep": _sweep,
    "shard": _shard,
    "verify": _verify,
    "picture": _method(draw_pictures),
    "pictures": _method(draw_pictures),
    "map": _method(draw_maps),
    "maps": _method(draw_maps),
    "sanity": _method(draw_sanity),
}
