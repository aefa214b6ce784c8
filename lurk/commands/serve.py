"""`serve`: the dashboard, with a worker beside it."""

import argparse
import os
import sys
import webbrowser
from typing import TYPE_CHECKING

from lurk.commands import SHARED_QUEUE, STUDY, WORKER, command
from lurk.config.gpus import worker_count
from lurk.config.lurk_toml import read
from lurk.config.options import Settings, pass_to_workers
from lurk.config.queue_address import LOCAL
from lurk.errors import LurkError
from lurk.service.service import Service
from lurk.service.study_changes import apply_config
from lurk.storage.disk_space import MEGABYTE
from lurk.web.auth.access import check_open, open_access
from lurk.web.server.open_service import open_service
from lurk.web.server.web_process import Web
from lurk.worker.stop_event import StopEvent
from lurk.worker.supervisor import Supervisor

if TYPE_CHECKING:
    from lurk.web.server.in_process import Server

WATCH_S, WATCH_ALL_S = 0.25, 2.0
WEB = (
    *("host", "port", "path_prefix", "allowed_host", "auth", "admins", "web_workers"),
    *("queue_limit", "queue_limit_person", "no_browser", "debug"),
)


@command(
    "show the dashboard; the sweep runs beside it",
    (*STUDY, *SHARED_QUEUE, *WORKER, *WEB, "config"),
    reads_config=True,
)
def run(settings: Settings, _arguments: argparse.Namespace) -> int:
    """Serve until interrupted; a mistake that only the worker can find, such as a missing model, ends it as well."""
    check_open(settings)
    pass_to_workers(settings)
    service = open_service(settings)
    access = open_access(settings, service.cache)
    stop = StopEvent()
    stop.set_on_signals()
    with _web(service, settings) as web, _workers(settings, service):
        if settings.config:
            apply_config(service.cache, read(settings.config), service.queue, process=os.getpid())
        else:
            service.start()
        if isinstance(web, Web):
            web.wait(stop.is_set)
        if not stop.is_set():
            entrance = access.start_url(web.url) if access else web.url
            print(f"torchlurk shows {_title(settings, service)}: {entrance} (stop with Ctrl-C)", flush=True)
            if settings.queue != LOCAL and not service.queue.workers_alive():
                print("lurk: no worker is there yet; start some with: python -m lurk worker --queue …", file=sys.stderr)
            if not settings.no_browser and _has_screen():
                webbrowser.open(entrance.split()[0])
        _wait(service, settings, stop)
    return 0


def _workers(settings: Settings, service: Service) -> Supervisor:
    """The supervisor, with workers of this server's own unless the queue is in a Redis."""
    return Supervisor(
        service.cache,
        workers=worker_count(settings.device) if settings.queue == LOCAL else 0,
        floor_bytes=settings.min_free * MEGABYTE,
        stuck_s=settings.stuck_after,
        queue=settings.queue,
    )


def _title(settings: Settings, service: Service) -> str:
    if settings.config is None:
        return f"{settings.model} on {settings.data}"
    count = len(service.names())
    return f"{count} {'study' if count == 1 else 'studies'} of {settings.config}"


def _web(service: Service, settings: Settings) -> "Web | Server":
    """The web server: gunicorn in a process of its own, or one in this process without gunicorn or with `--debug`."""
    if settings.debug or os.name != "posix":
        from lurk.web.server.in_process import start

        return start(service, settings)
    return Web(settings)


def _wait(service: Service, settings: Settings, stop: StopEvent) -> None:
    """Wait for a signal, or until the first sweep of the only study fails to begin because of a user's mistake."""
    printed: set[tuple[str, str]] = set()
    while not stop.wait(WATCH_ALL_S if settings.config else WATCH_S):
        for view in service.studies():
            study = view.name
            status = service.status(study)
            failed = str(status["message"]) if status["state"] == "failed" and not status["ready"] else ""
            if failed and settings.config is None:
                raise LurkError(failed)
            for words in (failed or str(status["notice"]), *view.notes):
                if words and (study, words) not in printed:
                    printed.add((study, words))
                    about = f"{study}: " if settings.config else ""
                    print(f"lurk: {about}{words}", file=sys.stderr, flush=True)


def _has_screen() -> bool:
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
