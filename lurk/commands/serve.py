"""`serve`: the dashboard, with a worker beside it."""

import argparse
import os
import signal
import sys
import threading
import webbrowser
from types import FrameType

from lurk.broker import LOCAL
from lurk.errors import LurkError
from lurk.jobs.place import queue_at
from lurk.server import start
from lurk.service import Service
from lurk.settings import Settings
from lurk.stores import open_renders, prepare_cache
from lurk.supervisor import Supervisor

WATCH_S = 0.25


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
    queue = queue_at(settings.queue, cache)
    workers = 1 if settings.queue == LOCAL else 0  # those of a Redis are started by themselves, on any machine
    service = Service({settings.study: settings}, cache, queue, open_renders(cache))
    stop = threading.Event()
    _stop_on_signals(stop)
    with start(service, settings) as server, Supervisor(cache, workers=workers, queue=settings.queue):
        service.start()
        print(f"torchlurk shows {settings.model} on {settings.data}: {server.url} (stop with Ctrl-C)", flush=True)  # noqa: T201 - what the user waits for
        if not workers and not queue.workers_alive():
            print("lurk: no worker is there yet; start some with: python -m lurk worker --queue …", file=sys.stderr)  # noqa: T201 - what is waited for
        if not settings.no_browser and _has_screen():
            webbrowser.open(server.url)
        _wait(service, settings, stop)
    return 0


def _wait(service: Service, settings: Settings, stop: threading.Event) -> None:
    """Wait for a signal; a mistake that stops the first sweep from beginning ends the server."""
    told = False
    while not stop.wait(WATCH_S):
        status = service.status(settings.study)
        if status["state"] == "failed" and not status["ready"]:
            raise LurkError(status["message"])
        if status["notice"] and not told:
            print(f"lurk: {status['notice']}", file=sys.stderr, flush=True)  # noqa: T201 - nobody may miss it
            told = True


def _stop_on_signals(stop: threading.Event) -> None:
    def handle(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, handle)


def _has_screen() -> bool:
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
