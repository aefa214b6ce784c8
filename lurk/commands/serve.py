"""`serve`: the dashboard, with a worker beside it."""

import argparse
import os
import signal
import sys
import threading
import webbrowser
from types import FrameType

from lurk.config import read
from lurk.errors import LurkError
from lurk.jobs import Limits
from lurk.jobs.local import LocalQueue
from lurk.served import studies_of, take_in
from lurk.server import start
from lurk.service import Service
from lurk.settings import Settings, hand_down
from lurk.space import MEGABYTE, Space
from lurk.stores import open_renders, prepare_cache
from lurk.supervisor import Supervisor

WATCH_S, WATCH_ALL_S = 0.25, 2.0


def run(settings: Settings, _given: argparse.Namespace) -> int:
    """Serve until interrupted.

    Args:
        settings: The options.
        _given: Flags of this command alone; it has none.

    Returns:
        Exit status.

    Raises:
        LurkError: A user's mistake, also one that only the worker could find, such as a model that is not there.
    """
    cache = prepare_cache(settings.cache)
    queue = LocalQueue(cache)
    hand_down(settings)
    limits = Limits(settings.queue_limit, settings.queue_limit_person)
    floor_bytes = settings.min_free * MEGABYTE
    studies, space = studies_of(settings, cache), Space(cache, floor_bytes)
    service = Service(studies, cache, queue, open_renders(cache), limits=limits, space=space)
    stop = threading.Event()
    _stop_on_signals(stop)
    with start(service, settings) as server, Supervisor(cache, floor_bytes=floor_bytes, stuck_s=settings.stuck_after):
        if settings.config:
            take_in(cache, read(settings.config), queue, process=os.getpid())
        else:
            service.start()
        print(f"torchlurk shows {_what(settings, service)}: {server.entrance} (stop with Ctrl-C)", flush=True)  # noqa: T201 - what the user waits for
        if not settings.no_browser and _has_screen():
            webbrowser.open(server.entrance.split()[0])
        _wait(service, settings, stop)
    return 0


def _what(settings: Settings, service: Service) -> str:
    if settings.config is None:
        return f"{settings.model} on {settings.data}"
    count = len(service.names())
    return f"{count} {'study' if count == 1 else 'studies'} of {settings.config}"


def _wait(service: Service, settings: Settings, stop: threading.Event) -> None:
    """Wait for a signal; a mistake that stops the first sweep of the only study from beginning ends the server."""
    told: set[tuple[str, str]] = set()
    while not stop.wait(WATCH_ALL_S if settings.config else WATCH_S):
        for study in service.names():
            status = service.status(study)
            failed = str(status["message"]) if status["state"] == "failed" and not status["ready"] else ""
            if failed and settings.config is None:
                raise LurkError(failed)
            words = failed or str(status["notice"])
            if words and (study, words) not in told:
                told.add((study, words))
                about = f"{study}: " if settings.config else ""
                print(f"lurk: {about}{words}", file=sys.stderr, flush=True)  # noqa: T201 - nobody may miss it


def _stop_on_signals(stop: threading.Event) -> None:
    def handle(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, handle)


def _has_screen() -> bool:
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
