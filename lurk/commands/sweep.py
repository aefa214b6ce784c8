"""`sweep`: the sweep without a browser."""

import argparse
import sys

from tqdm import tqdm

from lurk.allocator import keep_freed_memory
from lurk.index_writer import show_in_study
from lurk.settings import Settings
from lurk.stores import prepare_cache


def run(settings: Settings, _given: argparse.Namespace) -> int:
    """Sweep, with a progress bar on a terminal.

    Args:
        settings: The options.
        _given: Flags of this command alone; it has none.

    Returns:
        Exit status.
    """
    cache = prepare_cache(settings.cache)
    keep_freed_memory()
    from lurk.sweeping import sweep
    from lurk.tasks import image_set, warm_model

    model, images = warm_model(settings.model, settings.weights), image_set(settings)
    if model.notice:
        print(f"lurk: {model.notice}", file=sys.stderr)  # noqa: T201 - nobody may miss it
    with tqdm(total=len(images), unit=" images", disable=not sys.stderr.isatty()) as bar:

        def progress(done: int, _total: int, _rate: float) -> None:
            bar.update(done - bar.n)

        index = sweep(
            model,
            images,
            top=settings.top,
            cache=cache,
            layers=settings.layers,
            batch_size=settings.batch_size,
            workers=settings.workers,
            device=settings.device,
            progress=progress,
            began=lambda folder: show_in_study(cache, settings.study, folder),
        )
    manifest = index.manifest
    units = sum(layer.units for layer in index.layers)
    print(f"{manifest.images} images, {len(index.layers)} layers, {units} units: {index.folder}")  # noqa: T201 - the answer
    for _, path, reason in manifest.skipped:
        print(f"skipped {path}: {reason}", file=sys.stderr)  # noqa: T201 - the answer
    return 0
