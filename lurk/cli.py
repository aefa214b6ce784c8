"""The command line: serve (default), sweep, worker, doctor."""

import argparse
import importlib
import sys
from collections.abc import Sequence

from lurk import __version__
from lurk.errors import LurkError
from lurk.settings import add_options, settings_from

STUDY = ("model", "weights", "data", "classes", "sample", "layers", "top", "batch_size", "workers", "device", "cache")
WEB = ("host", "port", "allowed_host", "no_browser", "debug")
COMMANDS = {
    "serve": ("show the dashboard; the sweep runs beside it", (*STUDY, *WEB)),
    "sweep": ("run the images through the model and leave the results in the cache", STUDY),
    "worker": ("claim and run the jobs of a cache", ("cache",)),
    "doctor": ("say what is installed, what is wrong and how to mend it", STUDY),
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
        if name == "doctor":
            sub.add_argument(
                "--verify", type=int, nargs="?", const=20, metavar="N", help="recompute the hits of N random units"
            )
    return parser
