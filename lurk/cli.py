"""The command line: serve (default), sweep, visualize, worker, doctor."""

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Any

from lurk import __version__
from lurk.errors import LurkError
from lurk.settings import add_options, settings_from

STUDY = ("model", "weights", "data", "classes", "sample", "layers", "top", "batch_size", "workers", "device", "cache")
MANY = ("shards", "queue")
WEB = ("host", "port", "allowed_host", "no_browser", "debug")
COMMANDS = {
    "serve": ("show the dashboard; the sweep runs beside it", (*STUDY, *MANY, *WEB)),
    "sweep": ("run the images through the model and leave the results in the cache", (*STUDY, *MANY)),
    "visualize": ("draw what units want to see, or what they saw in an image, into a folder", STUDY),
    "worker": ("claim and run the jobs of a cache", ("cache", "queue")),
    "doctor": ("say what is installed, what is wrong and how to mend it", (*STUDY, "queue")),
}


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
        settings = settings_from(vars(given))
        command = importlib.import_module(f"lurk.commands.{given.command}")
        return int(command.run(settings, given))
    except LurkError as error:
        print("lurk:", " ".join(str(error).split()), file=sys.stderr)  # noqa: T201 - the one line of a user's mistake
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lurk", description="See what each unit of a trained PyTorch vision network has learned."
    )
    parser.add_argument("--version", action="version", version=f"torchlurk {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, (help_, options) in COMMANDS.items():
        sub = commands.add_parser(name, help=help_, description=help_, allow_abbrev=False, epilog=EPILOG)
        add_options(sub, options)
        for flag, how in OWN.get(name, ()):
            sub.add_argument(flag, **how)
    return parser
