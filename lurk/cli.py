"""The command line: reads the options and runs a command, by default `serve`."""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from lurk.commands import COMMANDS
from lurk.config import lurk_toml
from lurk.config.logs import VARIABLE, configure
from lurk.config.options import STUDY_OPTIONS, add_options, flag, settings_from, variable
from lurk.errors import LurkError
from lurk.records import VERSION


class Parser(argparse.ArgumentParser):
    """A parser that tells a mistake in one line."""

    def error(self, message: str) -> NoReturn:
        """Print the mistake and end."""
        self.exit(2, f"lurk: {message}; {self.prog} --help explains the options\n")


def main(arguments: Sequence[str]) -> int:
    """Run a command.

    Args:
        arguments: The command line without the program's name; without a command it is `serve`.

    Returns:
        Exit status: 0 fine, 2 a user's mistake.
    """
    words = list(arguments)
    if words and words[0] not in COMMANDS and not words[0].startswith("-"):
        print(f"lurk: there is no command {words[0]!r}; known are {', '.join(COMMANDS)}", file=sys.stderr)  # noqa: T201 - as below
        return 2
    if not words or (words[0] not in COMMANDS and words[0] != "--version"):
        words.insert(0, "serve")
    given = _parser().parse_args(words)
    command = COMMANDS[given.command]
    try:
        file = getattr(given, "config", None) or os.environ.get(variable("config"))
        config = _read_config(file, given) if file and command.reads_config else None
        settings = settings_from(vars(given), config=config.server if config else None)
        os.environ[VARIABLE] = settings.log  # for the processes that this one starts
        configure(given.command, settings.log)
        if config and given.command == "sweep":
            return max(command.run(study, given) for study in config.of_cache(settings.cache))
        return command.run(settings, given)
    except LurkError as error:
        print("lurk:", " ".join(str(error).split()), file=sys.stderr)  # noqa: T201 - the one line of a user's mistake
        return 2
    except KeyboardInterrupt:
        return 130


def _read_config(file: str, given: argparse.Namespace) -> lurk_toml.Config:
    """Read the file of several studies; refuse options that describe a study beside it."""
    for name in STUDY_OPTIONS:
        if getattr(given, name, None) is not None or os.environ.get(variable(name)):
            other = flag(name) if getattr(given, name, None) is not None else variable(name)
            raise LurkError(
                f"--config and {other} do not go together: with --config the studies are those of {file}; "
                f"write {name} there, or leave one of the two out"
            )
    return lurk_toml.read(file)


def _parser() -> Parser:
    parser = Parser(prog="lurk", description="See what each unit of a trained PyTorch vision network has learned.")
    parser.add_argument("--version", action="version", version=f"torchlurk {VERSION}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    epilog = f"Commands: {', '.join(COMMANDS)}; each explains its own options with --help."
    for name in COMMANDS:
        command = COMMANDS[name]
        sub = commands.add_parser(name, help=command.help, description=command.help, allow_abbrev=False, epilog=epilog)
        add_options(sub, command.options)
        for argument, keywords in command.arguments.items():
            sub.add_argument(argument, **keywords)
    return parser
