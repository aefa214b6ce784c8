"""Job kind -> sweep or method -> index: what a worker does with a job spec."""

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from lurk.applying import offers
from lurk.errors import BusyError, LurkError
from lurk.index import Index
from lurk.index_writer import show_in_study
from lurk.manifest import study_index
from lurk.method_tasks import Context, Result, draw_map, draw_pictures, draw_sanity
from lurk.records import JobSpec, UnitRef
from lurk.results import publish_offers
from lurk.settings import Settings
from lurk.staleness import made_with
from lurk.sweeping import sweep
from lurk.verify import verify
from lurk.warm import image_set, warm_model

BUSY_S = 1.0


def run(spec: JobSpec, context: Context) -> Result:
    """Do what a job spec asks for.

    Args:
        spec: The spec; its kind is a name in the table of tasks.
        context: Where results go, and who hears of the progress.

    Returns:
        What the job's record keeps, as JSON values.

    Raises:
        LurkError: There is no such kind of job, or its task found a user's mistake.
    """
    if spec.kind not in TASKS:
        raise LurkError(f"no kind of job is called {spec.kind!r}; known are: {', '.join(sorted(TASKS))}")
    return TASKS[spec.kind](spec, context)


def _sweep(spec: JobSpec, context: Context) -> Result:
    settings = Settings.from_spec(spec, context.cache)
    made = made_with(settings)
    context.report(0, 0, "loading the model")
    model = warm_model(settings.model, settings.weights)
    context.report(0, 0, "looking through the images")
    images = image_set(settings)

    def progress(done: int, total: int, rate: float) -> None:
        context.report(done, total, "", rate)
        context.give_way()

    def show(folder: Path) -> None:
        publish_offers(folder, offers(model, model.plan(settings.layers)))
        show_in_study(context.cache, spec.study, folder, made)

    index = _patiently(
        context,
        sweep,
        model,
        images,
        top=settings.top,
        cache=settings.cache,
        layers=settings.layers,
        batch_size=settings.batch_size,
        workers=settings.workers,
        device=settings.device,
        progress=progress,
        began=show,
    )
    return {"index": index.key, "images": index.manifest.images, "skipped": len(index.manifest.skipped)}


def _patiently(context: Context, work: Callable[..., Index], *given: object, **options: object) -> Index:
    """Do some work as soon as no other process does the same; it then finds it done."""
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
    model, images = warm_model(settings.model, settings.weights), image_set(settings)
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


TASKS: dict[str, Callable[[JobSpec, Context], Result]] = {
    "sweep": _sweep,
    "verify": _verify,
    "picture": draw_pictures,
    "pictures": draw_pictures,
    "map": draw_map,
    "sanity": draw_sanity,
}
