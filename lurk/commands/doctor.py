"""`doctor`: what is installed, what is wrong, and how to mend it."""

import argparse
import http.client
import json
import os
import random
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lurk.commands import STUDY, command
from lurk.config.lurk_toml import read
from lurk.config.options import DEFAULT_PORT, Settings
from lurk.config.queue_address import LOCAL, without_password
from lurk.errors import LurkError
from lurk.jobs.open_queue import open_queue
from lurk.records import UnitRef
from lurk.storage.cache_dir import file_system, is_shared, prepare_cache
from lurk.storage.diagnosis import read_diagnosis
from lurk.storage.index import Index
from lurk.storage.manifest import read_manifest, study_index
from lurk.web.auth.access import check_open
from lurk.web.server.listen import ANY, listen

PACKAGES = (
    *("torch", "torchvision", "numpy", "pillow", "dash", "plotly", "dash-bootstrap-components", "diskcache"),
    *("gunicorn", "waitress", "flask-compress", "prometheus-client"),
)
PINNED = {"torch": "2.14.1", "torchvision": "0.29.1"}
INSTALL = "run: pip install -r requirements.txt"
LEAST_FREE_BYTES = 1 << 30
LEAST_FILES = 1024
LEAST_MEMORY_BYTES = 2 << 30
ANSWER_WITHIN_S = 2.0
MOST_WRONG_HITS = 20

Finding = tuple[str, str, str]  # what was looked at, how it is, and what is wrong with it; the last two may be empty


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
def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Print what is found, one line a finding, then what is wrong; the exit status is 2 if anything is."""
    if arguments.verify is not None and arguments.verify < 1:
        raise LurkError(f"--verify must be 1 or more, not {arguments.verify}")
    problems = []
    for name, value, problem in _findings(settings, arguments.verify):
        if value:
            print(f"{name:28}{value}")
        if problem:
            problems.append(problem)
    for problem in problems:
        print("wrong:", problem, file=sys.stderr)
    print("all is well" if not problems else f"{len(problems)} to mend")
    return 2 if problems else 0


def _findings(settings: Settings, units: int | None) -> Iterator[Finding]:
    studies = read(settings.config).of_cache(settings.cache) if settings.config else [settings]
    yield "python", sys.version.split()[0], ""
    yield from (_package(name) for name in PACKAGES)
    yield _device(settings)
    yield from _cache(settings)
    for study in studies:
        yield _study(study)
        yield from _preprocessing(study)
        if units is not None:
            yield from _verify(study, units)


def _package(name: str) -> Finding:
    try:
        found = version(name)
    except PackageNotFoundError:
        return name, "", f"{name} is not installed; {INSTALL}"
    is_wrong = name in PINNED and found.split("+")[0] != PINNED[name]
    return name, found, f"{name} is {found}, made for {PINNED[name]}; {INSTALL}" if is_wrong else ""


def _device(settings: Settings) -> Finding:
    try:
        from lurk.graph.device import choose_device

        return "device", str(choose_device(settings.device)), ""
    except LurkError as error:
        return "device", "", str(error)
    except (ImportError, RuntimeError, OSError) as error:
        return "device", "", f"torch or torchvision cannot be loaded ({error}); {INSTALL}"


def _cache(settings: Settings) -> Iterator[Finding]:
    try:
        cache = prepare_cache(settings.cache)
    except LurkError as error:
        yield "cache", "", str(error)
        return
    free = shutil.disk_usage(cache).free
    yield "cache", f"{cache}, {free / 1e9:.1f} GB free", ""
    if settings.queue == LOCAL and is_shared(cache):
        yield (
            "cache",
            "",
            f"the cache lies on {file_system(cache)}, on which the queue is not safe; name a local disk with --cache, "
            "or a Redis with --queue",
        )
    if free < LEAST_FREE_BYTES:
        few = f"only {free / 1e6:.0f} MB are free for the cache; make room or choose another with --cache"
        yield "cache", "", few
    yield from deployment(settings, cache)


def _study(settings: Settings) -> Finding:
    folder = study_index(Path(settings.cache), settings.study)
    if folder is None:
        return "study", f"{settings.study}: not swept yet", ""
    try:
        manifest = Index(folder).manifest
    except LurkError as error:
        return "study", "", str(error)
    state = "complete" if manifest.complete else f"{manifest.done} of {manifest.images} images"
    return "study", f"{settings.study}: {state}, {len(manifest.skipped)} skipped", ""


def _preprocessing(settings: Settings) -> Iterator[Finding]:
    """What the doctor of the preprocessing found before the sweep."""
    folder = study_index(Path(settings.cache), settings.study)
    if folder is None:
        return
    with suppress(LurkError):
        warnings = read_diagnosis(folder, read_manifest(folder).provenance)
        if warnings is not None:
            yield "preprocessing", "looks wrong" if warnings else "nothing looks wrong", "; ".join(warnings)


def _verify(settings: Settings, units: int) -> Iterator[Finding]:
    """Compute the hits of some random units again."""
    from lurk.sweeps.verify import verify
    from lurk.worker.model_cache import cached_model, image_set

    folder = study_index(Path(settings.cache), settings.study)
    if folder is None:
        problem = f"study {settings.study!r} has no index to verify; run the sweep with the same options first"
        yield "verified", "", problem
        return
    index = Index(folder)
    every = [UnitRef(layer.name, unit) for layer in index.layers for unit in range(layer.units)]
    chosen = random.Random().sample(every, min(units, len(every)))  # noqa: S311 - a sample, not a secret
    model = cached_model(settings)
    if model.weight_hash != index.manifest.provenance.weight_hash:
        yield "verified", "", "the weights have changed since the sweep; sweep again"
        return
    checks = list(verify(model, image_set(settings), index, chosen))
    wrong = [check for check in checks if not check.agrees]
    yield "verified", f"{len(checks) - len(wrong)} of {len(checks)} hits of {len(chosen)} units agree", ""
    for check in wrong[:MOST_WRONG_HITS]:
        yield "verified", "", f"{check.layer} unit {check.unit}, {check.path}, by {check.kind}: {check.note}"


def deployment(settings: Settings, cache: Path) -> Iterator[Finding]:
    """Look at a deployment: queue and workers, address, web server, open files, memory.

    Args:
        settings: The options.
        cache: The cache directory, prepared.

    Yields:
        What was looked at, how it is, and what is wrong with it and how to mend that; the last is empty if all is well.
    """
    yield from _queue(settings.queue, cache)
    yield _address(settings)
    yield _server()
    yield from _limits()


def _queue(address: str, cache: Path) -> Iterator[Finding]:
    try:
        queue = open_queue(address, cache)
        workers, jobs = queue.workers_alive(), queue.jobs()
    except LurkError as error:
        yield "queue", "cannot be used", str(error)
        return
    states = Counter[str](job.state for job in jobs)
    counted = ", ".join(f"{states[state]} {state}" for state in ("queued", "running", "failed"))
    found = f"{counted}; workers alive: {workers}"
    waiting = states["queued"] + states["running"]
    redis = "" if address == LOCAL else f" --queue {without_password(address)}"
    missing = f"{waiting} jobs wait and no worker is alive; run: python -m lurk worker --cache {cache}{redis}"
    yield "queue", found, missing if waiting and not workers else ""
    if redis:
        yield "redis", without_password(address), "; ".join(queue.risks())


def _address(settings: Settings) -> Finding:
    port = DEFAULT_PORT if settings.port is None else settings.port
    address = f"{settings.host}:{port}"
    try:
        check_open(settings)
        state = _server_state(ANY.get(settings.host, settings.host), port)
        if state:
            not_ready = (
                f"the server is not ready ({state}); its log says why, and /readyz which study or worker is missing"
            )
            return "address", f"{address}, a server answers: {state}", "" if state == "ready" else not_ready
        listen(settings).close()
    except LurkError as error:
        return "address", address, str(error)
    return "address", f"{address} is free" if settings.port is not None else "a port is free", ""


def _server_state(host: str, port: int) -> str:
    """What a server of this kind says of itself; empty if none answers there."""
    connection = http.client.HTTPConnection(host, port, timeout=ANSWER_WITHIN_S)
    try:
        connection.request("GET", "/readyz", headers={"Host": "localhost"})
        answer = connection.getresponse()
        if not answer.getheader("X-Request-ID"):
            return ""
        if answer.status == http.HTTPStatus.OK:
            return "ready"
        body: Any = None
        with suppress(ValueError):
            body = json.loads(answer.read(10_000))
        return _missing(body) if isinstance(body, dict) else f"status {answer.status}"
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        connection.close()


def _missing(body: dict[str, Any]) -> str:
    """What a server that is not ready lacks, by its answer to /readyz."""
    studies = body.get("studies")
    missing = [name for name, has_index in studies.items() if not has_index] if isinstance(studies, dict) else []
    without = f"no index yet: {', '.join(missing)}" if missing else "every study has its index"
    return f"workers alive: {body.get('workers')}; {without}"


def _server() -> Finding:
    if os.name != "posix":
        return "web server", "waitress, since gunicorn needs a POSIX system", ""
    if find_spec("gunicorn") is None:
        return "web server", "missing", f"gunicorn is not installed; {INSTALL}"
    return "web server", "gunicorn", ""


def _limits() -> Iterator[Finding]:
    if os.name != "posix":
        return
    import resource

    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    few = f"only {files} files may be open at once; raise it with: ulimit -n 4096"
    yield "open files", str(files), few if 0 <= files < LEAST_FILES else ""
    memory = _memory()
    if memory is not None:
        little = f"only {memory / 1e9:.1f} GB of memory may be used; the worker needs 2 GB or more"
        yield "memory", f"{memory / 1e9:.1f} GB", little if memory < LEAST_MEMORY_BYTES else ""


def _memory() -> int | None:
    """Bytes that this process may use, by the machine and by its control group; None if neither is known."""
    found = []
    with suppress(OSError, ValueError):
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with suppress(OSError, ValueError):
        found.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return min(found, default=None)
