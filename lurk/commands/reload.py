"""`reload`: applies the changes in the file of a running server, without a restart."""

import argparse
import os
from pathlib import Path

from lurk.commands import command
from lurk.config.lurk_toml import Config, absolute_path, read
from lurk.config.settings import Settings, variable
from lurk.config.study_list import StudyList, read_lists
from lurk.errors import LurkError
from lurk.jobs.open_queue import open_queue
from lurk.service.study_changes import Change, apply_config
from lurk.storage.cache_dir import prepare_cache


@command("take in what was changed in the file of a running server", ("config", "cache", "queue"))
def run(settings: Settings, given: argparse.Namespace) -> int:
    """Read the file of a running server again, and say what has changed.

    Args:
        settings: The options: `config`, the file; by default the one of the only server on the cache.
        given: `cache`, the cache directory; by default the one that the file names.

    Returns:
        Exit status.

    Raises:
        LurkError: Something in the file is wrong, and the server goes on as before; or no server runs with it.
    """
    config = _read(settings.config) if settings.config else None
    told = given.cache or os.environ.get(variable("cache"))
    named = config.server.get("cache") if config and not told else None
    cache = Path(str(named or settings.cache)).expanduser().absolute()
    known = {str(one.config): one for one in read_lists(cache) if one.running}
    file = str(absolute_path(settings.config)) if settings.config else _only(known, cache)
    if file not in known:
        others = f"; those on this cache run with: {', '.join(known)}" if known else ""
        raise LurkError(
            f"no server runs with --config {file} on the cache {cache}{others}; "
            f"start one with: python app.py --config {file}"
        )
    config = config or _read(file)
    cache = prepare_cache(cache)
    where = str(config.server.get("queue") or settings.queue)
    _tell(apply_config(cache, config, open_queue(where, cache)), config)
    return 0


def _read(file: str) -> Config:
    try:
        return read(file)
    except LurkError as error:
        raise LurkError(f"{error}; a server that runs goes on with the studies that it has") from error


def _only(known: dict[str, StudyList], cache: Path) -> str:
    if not known:
        raise LurkError(
            f"no server with a --config runs on the cache {cache}; start one with: python app.py --config lurk.toml, "
            "or name the file with --config, or the cache with --cache"
        )
    if len(known) > 1:
        raise LurkError(f"several servers run on the cache {cache}; say which with --config: {', '.join(known)}")
    return next(iter(known))


def _tell(change: Change, config: Config) -> None:
    for word, names in (("added", change.added), ("changed", change.changed), ("removed", change.removed)):
        for name in names:
            print(f"{word:8}{name}")  # noqa: T201 - the answer
    if not (change.added or change.changed or change.removed):
        print("no study has changed")  # noqa: T201 - the answer
    count = len(config.studies)
    print(f"{count} {'study' if count == 1 else 'studies'}: {config.path}")  # noqa: T201 - the answer
    if change.restart:
        print(f"takes a restart: {', '.join(change.restart)}")  # noqa: T201 - the answer
