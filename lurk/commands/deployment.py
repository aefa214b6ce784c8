"""What `doctor` finds out about a deployment: queue and workers, port, web server, open files, memory."""

import http.client
import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lurk.config.queue_address import LOCAL, shown
from lurk.config.settings import DEFAULT_PORT, Settings
from lurk.errors import LurkError
from lurk.jobs.open_queue import queue_at
from lurk.web.auth.access import check_open
from lurk.web.server.listen import ANY, listen

LEAST_FILES = 1024
LEAST_MEMORY_BYTES = 2 << 30
ASK_S = 2.0

Finding = tuple[str, str, str]


def findings(settings: Settings, cache: Path) -> Iterator[Finding]:
    """Look at a deployment.

    Args:
        settings: The options.
        cache: The cache directory, prepared.

    Yields:
        What was looked at, how it is, and what is wrong with it and how to mend that, empty where nothing is.
    """
    yield from _queue(settings.queue, cache)
    yield _port(settings)
    yield _server()
    yield from _limits()


def _queue(where: str, cache: Path) -> Iterator[Finding]:
    try:
        queue = queue_at(where, cache)
        workers, jobs = queue.workers_alive(), queue.jobs()
    except LurkError as error:
        yield "queue", "cannot be used", str(error)
        return
    states = Counter[str](job.state for job in jobs)
    counted = ", ".join(f"{states[state]} {state}" for state in ("queued", "running", "failed"))
    found = f"{counted}; workers alive: {workers}"
    waiting = states["queued"] + states["running"]
    redis = "" if where == LOCAL else f" --queue {shown(where)}"
    missing = f"{waiting} jobs wait and no worker is alive; run: python -m lurk worker --cache {cache}{redis}"
    yield "queue", found, missing if waiting and not workers else ""
    if redis:
        risks = queue.risks()
        yield "redis", shown(where), "; ".join(risks)


def _port(settings: Settings) -> Finding:
    port = DEFAULT_PORT if settings.port is None else settings.port
    place = f"{settings.host}:{port}"
    try:
        check_open(settings)
        is_ours, state = _asked(ANY.get(settings.host, settings.host), port)
        if is_ours:
            return "address", f"{place}, a server answers: {state}", "" if state == "ready" else _not_ready(state)
        listen(settings).close()
    except LurkError as error:
        return "address", place, str(error)
    return "address", f"{place} is free" if settings.port is not None else "a port is free", ""


def _not_ready(state: str) -> str:
    return f"the server is not ready ({state}); its log says why, and /readyz which study or worker is missing"


def _asked(host: str, port: int) -> tuple[bool, str]:
    """Whether a server of this kind answers there, and what it says of itself."""
    asked = http.client.HTTPConnection(host, port, timeout=ASK_S)
    try:
        asked.request("GET", "/readyz", headers={"Host": "localhost"})
        answer = asked.getresponse()
        if not answer.getheader("X-Request-ID"):
            return False, ""
        if answer.status == http.HTTPStatus.OK:
            return True, "ready"
        told: Any = None
        with suppress(ValueError):
            told = json.loads(answer.read(10_000))
        return True, _words(told) if isinstance(told, dict) else f"status {answer.status}"
    except (OSError, http.client.HTTPException):
        return False, ""
    finally:
        asked.close()


def _words(told: dict[str, Any]) -> str:
    studies = told.get("studies")
    missing = [name for name, is_there in studies.items() if not is_there] if isinstance(studies, dict) else []
    without = f"no index yet: {', '.join(missing)}" if missing else "every study has its index"
    return f"workers alive: {told.get('workers')}; {without}"


def _server() -> Finding:
    if os.name != "posix":
        return "web server", "waitress, since gunicorn needs a POSIX system", ""
    if find_spec("gunicorn") is None:
        return "web server", "missing", "gunicorn is not installed; run: pip install -r requirements.txt"
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
    """Bytes that this process may use: the machine's, or what its control group leaves it."""
    found = []
    with suppress(OSError, ValueError):
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with suppress(OSError, ValueError):
        found.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return min(found, default=None)
