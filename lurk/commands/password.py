"""`password`: writes a line of the file that `--auth password:FILE` reads."""

import argparse
import getpass
import sys
from pathlib import Path

from lurk.commands import command
from lurk.config.options import Settings
from lurk.errors import LurkError
from lurk.storage.atomic_files import write_file
from lurk.web.auth.passwords import line

ROLE = "viewer looks, member also asks for jobs, admin sees and cancels all (default: member)"


@command(
    "make a line of the file that --auth password:FILE reads",
    (),
    arguments={
        "name": {"metavar": "NAME", "help": "name of the person"},
        "--role": {"default": "member", "metavar": "ROLE", "help": ROLE},
        "--to": {"metavar": "FILE", "help": "put the line into this file, in place of an earlier one of that name"},
    },
)
def run(_settings: Settings, arguments: argparse.Namespace) -> int:
    """Ask for a password and print its line, or put it into a file."""
    text = line(arguments.name, arguments.role, _password())
    if arguments.to:
        _put(Path(arguments.to).expanduser(), arguments.name, text)
    else:
        print(text)
    return 0


def _password() -> str:
    """Ask twice on a terminal; without a terminal, read a line of standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        raise LurkError("the two passwords differ; try again")
    return password


def _put(file: Path, name: str, line_: str) -> None:
    """Put a line into a file that only its owner may read, in place of an earlier one of that name."""
    try:
        before = file.read_text().splitlines() if file.exists() else []
        kept = [other for other in before if other.split()[:1] != [name]]
        write_file(file, "\n".join([*kept, line_]) + "\n")
    except OSError as error:
        raise LurkError(f"cannot write {file}: {error.strerror}; name another with --to") from error
