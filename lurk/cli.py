"""The command line: serve (default), reload, sweep, visualize, worker, password, doctor."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

from lurk.config import lurk_toml
from lurk.config.settings import STUDY_OPTIONS, add_options, flag, settings_from, variable
from lurk.errors import LurkError
from lurk.logs import VARIABLE, configure
from lurk.records import VERSION

STUDY = (*STUDY_OPTIONS, "cache", "log")
WORK = ("memory", "min_free", "stuck_after")
MANY = ("shards", "queue")
LIMITS = ("queue_limit", "queue_limit_person")
WEB = ("host", "port", "allowed_host", "auth", "admins", "web_workers", *LIMITS, "no_browser", "debug")
COMMANDS = {
    "serve": ("show the dashboard; the sweep runs beside it", (*STUDY, *MANY, "config", *WEB, *WORK)),
    "reload": ("take in what was changed in the file of a running server", ("config", "cache", "queue")),
    "sweep": ("run the images through the model and leave the results in the cache", (*STUDY, *MANY, "config")),
    "visualize": ("draw what units want to see, or what they saw in an image, into a folder", STUDY),
    "worker": ("claim and run the jobs of a cache", ("config", "cache", "queue", "log", *WORK)),
    "password": ("make a line of the file that --auth password:FILE reads", ()),
    "doctor": ("say what is installed, what is wrong and how to mend it", (*STUDY, "queue", "config", *WEB[:5])),
}
OF_SEVERAL = ("serve", "sweep", "worker", "doctor")

ROLE = "viewer looks, member also asks for jobs, admin sees and cancels all (default: member)"
OWN: dict[str, tuple[tuple[str, dict[str, Any]], ...]] = {
    "sweep": (("--with-pictures", {"action": "store_true", "help": "draw the picture of every unit afterwards"}),),
    "visualize": (
        ("--list", {"action": "store_true", "help": "list the methods with their options, and end"}),
        (
            "--method",
            {"default": "gradient_ascent", "metavar": "NAME", "help": "the method (default: gradient_ascent)"},
        ),
        ("--layer", {"default": "", "metavar": "NAME", "help": "the layer"}),
        ("--units", {"default": "0", "metavar": "N", "help": "unit or class numbers, such as 0-15,20 (default: 0)"}),
        ("--option", {"action": "append", "default": [], "metavar": "NAME=VALUE", "help": "an option of the method"}),
        (
            "--image",
            {"action": "append", "default": [], "metavar": "FILE", "help": "an image, if the method needs one"},
        ),
        ("--target", {"default": "maximum", "metavar": "WHAT", "help": "what a map explains: maximum, map or class"}),
        (
            "--mode",
            {"default": "signs", "metavar": "NAME", "help": "drawn as raw, grey, norm, blurred or signs"},
        ),
        ("--out", {"default": "pictures", "metavar": "DIR", "help": "folder for the pictures (default: pictures)"}),
    ),
    "password": (
        ("name", {"metavar": "NAME", "help": "name of the person"}),
        ("--role", {"default": "member", "metavar": "ROLE", "help": ROLE}),
        ("--to", {"metavar": "FILE", "help": "put the line into this file, in place of an earlier one of that name"}),
    ),
    "doctor": (
        (
            "--verify",
            {"type": int, "nargs": "?", "const": 20, "metavar": "N", "help": "recompute the hits of N random units"},
        ),
    ),
}

EPILOG = "Commands: " + ", ".join(COMMANDS) + "; each explains its own options with --help."


def main(arguments: Sequence[str]) -> int:
    """Run a command.

    Args:
        arguments: The command line without the program's name; without a command it is `serve`.

    Returns:
        Exit status: 0 fine, 2 a user's mistake.
    """
    asked = list(arguments)
    if not asked or (asked[0] not in COMMANDS and asked[0] != "--version"):
        asked.insert(0, "serve")
    given = _parser().parse_args(asked)
    try:
        file = getattr(given, "config", None) or os.environ.get(variable("config"))
        read = lurk_toml.read(_alone(file, given)) if file and given.command in OF_SEVERAL else None
        settings = settings_from(vars(given), usual=read.server if read else None)
        os.environ[VARIABLE] = settings.log  # for the processes that this one starts
        configure(given.command, settings.log)
        command = importlib.import_module(f"lurk.commands.{given.command}")
        if read and given.command == "sweep":
            return max(int(command.run(one, given)) for one in read.of_cache(settings.cache))
        return int(command.run(settings, given))
    except LurkError as error:
        print("lurk:", " ".join(str(error).split()), file=sys.stderr)  # noqa: T201 - the one line of a user's mistake
        return 2
    except KeyboardInterrupt:
        return 130


def _alone(file: str, given: argparse.Namespace) -> str:
    """The file of several studies, where nothing else says what to show."""
    for name in STUDY_OPTIONS:
        if getattr(given, name, None) is not None or os.environ.get(variable(name)):
            other = flag(name) if getattr(given, name, None) is not None else variable(name)
            raise LurkError(
                f"--config and {other} do not go together: with --config the studies are those of {file}; "
                f"write {name} there, or leave one of the two out"
            )
    return file


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lurk", description="See what each unit of a trained PyTorch vision network has learned."
    )
    parser.add_argument("--version", action="version", version=f"torchlurk {VERSION}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, (help_, options) in COMMANDS.items():
        sub = commands.add_parser(name, help=help_, description=help_, allow_abbrev=False, epilog=EPILOG)
        add_options(sub, options)
        for own, how in OWN.get(name, ()):
            sub.add_argument(own, **how)
    return parser
