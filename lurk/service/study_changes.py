"""What a new version of `lurk.toml` changes: a new list of studies is written, sweeps are asked for and stopped."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lurk.config.lurk_toml import Config
from lurk.config.study_list import Studies, StudyList, list_file, lock_list, study_options
from lurk.jobs.lanes import Lane
from lurk.jobs.queue import Queue
from lurk.records import digest


@dataclass(frozen=True)
class Change:
    """How the studies of a server differ from those it showed before.

    Args:
        added: Names of new studies.
        changed: Names of studies with other options than before.
        removed: Names of studies that the server no longer shows.
        restart: Options of the server that differ from those it was started with.
    """

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()


def apply_config(cache: Path, config: Config, queue: Queue, *, process: int | None = None) -> Change:
    """Show the studies of a `lurk.toml` from now on.

    Args:
        cache: The cache directory.
        config: The content of the `lurk.toml`.
        queue: The queue for the sweeps.
        process: Process number of a server that starts now and goes by the file's server options; else None.

    Returns:
        What has changed.

    Raises:
        CacheError: The list of studies cannot be written.
    """
    file = list_file(cache, config.path)
    server = {name: digest(value) for name, value in config.server.items()}
    with lock_list(file):
        before = StudyList.read(file, cache) or StudyList(config.path, (), server, {})
        processes = (*before.running, process) if process else before.running
        after = StudyList(config.path, processes, server if process else before.server, config.by_name())
        after.write(file)
        _update_sweeps(queue, before.studies, after.studies, is_start=process is not None)
    return _difference(before.studies, after.studies, before.server, server)


def _difference(before: Studies, after: Studies, started: Mapping[str, str], now: Mapping[str, str]) -> Change:
    kept = [name for name in after if name in before]
    return Change(
        tuple(name for name in after if name not in before),
        tuple(name for name in kept if study_options(after[name]) != study_options(before[name])),
        tuple(name for name in before if name not in after),
        tuple(name for name in sorted({*started, *now}) if started.get(name) != now.get(name)),
    )


def _update_sweeps(queue: Queue, before: Studies, after: Studies, *, is_start: bool) -> None:
    """Stop the sweeps of removed and changed studies, and ask for new ones; a server's start asks for all sweeps."""
    wanted = {study.sweep_spec().key: study.sweep_spec() for study in after.values()}
    known = {study.sweep_spec().key for study in before.values()}
    for key in known - set(wanted):
        queue.cancel(key)
    for key, spec in wanted.items():
        if is_start or key not in known or queue.get(key) is None:
            queue.submit(spec, Lane.SWEEP, again=True)
