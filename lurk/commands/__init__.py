"""What a command is, and the table of them: a command is one file of this folder, and adding one is adding a file."""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lurk.config.options import STUDY_OPTIONS, Settings
from lurk.registry import Registry

Run = Callable[[Settings, argparse.Namespace], int]

STUDY = (*STUDY_OPTIONS, "keep_images", "cache", "log")
SHARED_QUEUE = ("queue", "shards")
WORKER = ("memory", "keep_images", "min_free", "stuck_after")


@dataclass(frozen=True)
class Command:
    """A command of the command line.

    Args:
        run: Runs it with the settings and its own arguments; returns the exit status.
        help: What it does, in a line.
        options: Names of the options in `Settings` that it takes.
        arguments: Its own arguments: a name or flag, with the keywords of `add_argument`.
        reads_config: Whether options that are not given come from the `[server]` part of the file of `--config`.
    """

    run: Run
    help: str
    options: tuple[str, ...]
    arguments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    reads_config: bool = False


COMMANDS: Registry[Command] = Registry("lurk.commands", "command")


def command(help_: str, options: tuple[str, ...], **more: Any) -> Callable[[Run], Run]:
    """Return a decorator that enters a function into the table, under the name of its file; `more` as in `Command`."""

    def enter(run: Run) -> Run:
        COMMANDS.register(run.__module__.rpartition(".")[2])(Command(run, help_, options, **more))
        return run

    return enter
