"""`reload`: applies the changes in the file of a running server, without a restart."""

import argparse
import os
from pathlib import Path

from lurk.commands import command
from lurk.config.lurk_toml import Config, absolute_path, read
from lurk.config.options import Settings, variable
from lurk.config.study_list import read_lists
from lurk.errors import LurkError
from lurk.jobs.open_queue import open_queue
from lurk.service.study_changes import Change, apply_config
from lurk.storage.cache_dir import prepare_cache


@command("take in what was changed in the file of a running server", ("config", "cache", "queue"))
def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Read the file of a running server again, and print what has changed."""
    config = _read(settings.config) if settings.config else None
    is_given = arguments.cache or os.environ.get(variable("cache"))
    in_file = config.server.get("cache") if config and not is_given else None
    cache = Path(str(in_file or settings.cache)).expanduser().absolute()
    running = [str(studies.config) for studies in read_lists(cache) if studies.running]
    file = str(absolute_path(settings.config)) if settings.config else _only(running, cache)
    if file not in running:
        others = f"; those on this cache run with: {', '.join(running)}" if running else ""
        raise LurkError(
            f"no server runs with --config {file} on the cache {cache}{others}; "
            f"start one with: python app.py --config {file}"
        )
    config = config or _read(file)
    queue = open_queue(str(config.server.get("queue") or settings.queue), prepare_cache(cache))
    _print(apply_config(cache, config, queue), config)
    return 0


def _read(file: str) -> Config:
    try:
        return read(file)
    except LurkError as error:
        raise LurkError(f"{error}; a server that runs goes on with the studies that it has") from error


def _only(running: list[str], cache: Path) -> str:
    """The file of the only server on a cache."""
    if not running:
        raise LurkError(
            f"no server with a --config runs on the cache {cache}; start one with: python app.py --config lurk.toml, "
            "or name the file with --config, or the cache with --cache"
        )
    if len(running) > 1:
        raise LurkError(f"several servers run on the cache {cache}; say which with --config: {', '.join(running)}")
    return running[0]


def _print(change: Change, config: Config) -> None:
    for word, names in (("added", change.added), ("changed", change.changed), ("removed", change.removed)):
        for name in names:
            print(f"{word:8}{name}")
    if not (change.added or change.changed or change.removed):
        print("no study has changed")
    count = len(config.studies)
    print(f"{count} {'study' if count == 1 else 'studies'}: {config.path}")
    if change.restart:
        print(f"takes a restart: {', '.join(change.restart)}")
