"""`serve`: the dashboard, with a worker beside it."""

import argparse
import os
import signal
import sys
import threading
import webbrowser
from types import FrameType
from typing import TYPE_CHECKING

from lurk.binding import check_host
from lurk.errors import LurkError
from lurk.opening import open_service
from lurk.service import Service
from lurk.settings import Settings
from lurk.supervisor import Supervisor
from lurk.web import Web

if TYPE_CHECKING:
    from lurk.server import Server

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
    check_host(settings)
    service = open_service(settings)
    stop = threading.Event()
    _stop_on_signals(stop)
    with _web(service, settings) as web, Supervisor(service.cache):
        service.start()
        if isinstance(web, Web):
            web.wait(stop.is_set)
        if not stop.is_set():
            print(f"torchlurk shows {settings.model} on {settings.data}: {web.url} (stop with Ctrl-C)", flush=True)  # noqa: T201 - what the user waits for
            if not settings.no_browser and _has_screen():
                webbrowser.open(web.url)
        _wait(service, settings, stop)
    return 0


def _web(service: Service, settings: Settings) -> "Web | Server":
    """The web server: gunicorn in a process of its own; in this one where that cannot run, and for `--debug`."""
    if settings.debug or os.name != "posix":
        from lurk.server import start

        return start(service, settings)
    return Web(settings)


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
