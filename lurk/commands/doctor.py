"""`doctor`: what is installed, what is wrong, and how to mend it."""

import argparse
import random
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from lurk.commands import STUDY, command
from lurk.commands.deployment import findings
from lurk.config.lurk_toml import read
from lurk.config.queue_address import LOCAL
from lurk.config.settings import Settings
from lurk.errors import LurkError
from lurk.records import UnitRef
from lurk.storage.cache_dir import prepare_cache
from lurk.storage.filesystem import file_system, is_shared
from lurk.storage.index import Index
from lurk.storage.manifest import study_index

PACKAGES = (
    *("torch", "torchvision", "numpy", "pillow", "dash", "plotly", "dash-bootstrap-components", "diskcache"),
    *("gunicorn", "waitress", "flask-compress", "prometheus-client"),
)
PINNED = {"torch": "2.14.1", "torchvision": "0.29.1"}
LEAST_FREE_BYTES = 1 << 30


@command(
    "say what is installed, what is wrong and how to mend it",
    (*STUDY, "queue", "config", "host", "port", "allowed_host", "auth", "admins"),
    arguments={
        "--verify": {
            "type": int,
            "nargs": "?",
            "const": 20,
            "metavar": "N",
            "help": "recompute the hits of N random units",
        }
    },
    reads_config=True,
)
def run(settings: Settings, given: argparse.Namespace) -> int:
    """Print what is found; one line a finding.

    Args:
        settings: The options.
        given: `verify`, how many units to compute anew, None for not at all.

    Returns:
        0 when all is well, 2 when something is to be mended.
    """
    if given.verify is not None and given.verify < 1:
        raise LurkError(f"--verify must be 1 or more, not {given.verify}")
    studies = read(settings.config).of_cache(settings.cache) if settings.config else [settings]
    problems = [*_software(), *_device(settings), *_cache(settings)]
    for study in studies:
        problems += _study(study)
        if given.verify is not None:
            problems += _verify(study, given.verify)
    for problem in problems:
        print("wrong:", problem, file=sys.stderr)  # noqa: T201 - the answer
    print("all is well" if not problems else f"{len(problems)} to mend")  # noqa: T201 - the answer
    return 2 if problems else 0


def _say(name: str, value: object) -> None:
    print(f"{name:28}{value}")  # noqa: T201 - the answer


def _software() -> list[str]:
    problems = []
    _say("python", sys.version.split()[0])
    for package in PACKAGES:
        try:
            found = version(package)
        except PackageNotFoundError:
            problems.append(f"{package} is not installed; run: pip install -r requirements.txt")
            continue
        _say(package, found)
        if package in PINNED and found.split("+")[0] != PINNED[package]:
            problems.append(f"{package} is {found}, made for {PINNED[package]}; run: pip install -r requirements.txt")
    return problems


def _device(settings: Settings) -> list[str]:
    try:
        from lurk.graph.device import choose_device

        _say("device", choose_device(settings.device))
    except LurkError as error:
        return [str(error)]
    except (ImportError, RuntimeError, OSError) as error:
        return [f"torch or torchvision cannot be loaded ({error}); run: pip install -r requirements.txt"]
    return []


def _cache(settings: Settings) -> list[str]:
    try:
        cache = prepare_cache(settings.cache)
    except LurkError as error:
        return [str(error)]
    free = shutil.disk_usage(cache).free
    _say("cache", f"{cache}, {free / 1e9:.1f} GB free")
    problems = []
    if settings.queue == LOCAL and is_shared(cache):
        kind = file_system(cache)
        problems.append(
            f"the cache lies on {kind}, on which the queue is not safe; name a local disk with --cache, "
            f"or a Redis with --queue"
        )
    if free < LEAST_FREE_BYTES:
        problems.append(f"only {free / 1e6:.0f} MB are free for the cache; make room or choose another with --cache")
    for name, value, wrong in findings(settings, cache):
        _say(name, value)
        problems += [wrong] if wrong else []
    return problems


def _study(settings: Settings) -> list[str]:
    folder = study_index(Path(settings.cache), settings.study)
    if folder is None:
        _say("study", f"{settings.study}: not swept yet")
        return []
    try:
        manifest = Index(folder).manifest
    except LurkError as error:
        return [str(error)]
    state = "complete" if manifest.complete else f"{manifest.done} of {manifest.images} images"
    _say("study", f"{settings.study}: {state}, {len(manifest.skipped)} skipped")
    return []


def _verify(settings: Settings, count: int) -> list[str]:
    """Compute the hits of some random units again."""
    from lurk.sweeps.verify import verify
    from lurk.worker.model_cache import image_set, warm_model

    folder = study_index(Path(settings.cache), settings.study)
    if folder is None:
        return [f"study {settings.study!r} has no index to verify; run the sweep with the same options first"]
    index = Index(folder)
    every = [UnitRef(layer.name, unit) for layer in index.layers for unit in range(layer.units)]
    chosen = random.Random().sample(every, min(count, len(every)))  # noqa: S311 - a sample, not a secret
    model = warm_model(settings.model, settings.weights)
    if model.weight_hash != index.manifest.provenance.weight_hash:
        return ["the weights have changed since the sweep; sweep again"]
    checks = list(verify(model, image_set(settings), index, chosen))
    wrong = [check for check in checks if not check.agrees]
    _say("verified", f"{len(checks) - len(wrong)} of {len(checks)} hits of {len(chosen)} units agree")
    return [f"{check.layer} unit {check.unit}, {check.path}, by {check.kind}: {check.note}" for check in wrong[:20]]
