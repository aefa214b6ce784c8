"""The password file: a line `name role hash` a person, the hash by scrypt. `lurk password NAME` makes such a line."""

import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from werkzeug.security import check_password_hash, generate_password_hash

from lurk.errors import LurkError
from lurk.service.person import ROLES, Person, Role, is_name

LEAST_PASSWORD, LONGEST_PASSWORD = 8, 1024
_METHOD = "scrypt:32768:8:1"
_HASH = re.compile(r"scrypt:(\d{4,7}):(\d{1,2}):(\d{1,2})\$[A-Za-z0-9]{8,64}\$[0-9a-f]{64,128}")
_MOST_COST = 1 << 20
_NOBODY = f"{_METHOD}$nobody${'0' * 128}"  # takes as long to check as a real one; no password has this hash


@dataclass(frozen=True)
class Entry:
    """A line of the file: the person, and the hash of the password."""

    person: Person
    hash: str


def line(name: str, role: str, password: str) -> str:
    """Make a line of a password file.

    Args:
        name: Name of the person.
        role: `viewer`, `member` or `admin`.
        password: The password.

    Returns:
        The line, without its end.

    Raises:
        LurkError: The name or role is invalid, or the password is too short or too long.
    """
    if not is_name(name):
        raise LurkError(f"a name is of up to 64 letters, digits and _ . @ + -, not {name[:80]!r}")
    if role not in ROLES:
        raise LurkError(f"--role is one of {', '.join(ROLES)}, not {role[:40]!r}")
    if not LEAST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise LurkError(f"a password has from {LEAST_PASSWORD} to {LONGEST_PASSWORD} characters, not {len(password)}")
    return f"{name} {role} {generate_password_hash(password, method=_METHOD)}"


def read(file: Path) -> dict[str, Entry]:
    """Read a password file.

    Args:
        file: The file; empty lines and lines that begin with `#` are ignored.

    Returns:
        Entries by name.

    Raises:
        LurkError: It cannot be read, others could change it, or a line is invalid.
    """
    try:
        if file.stat().st_mode & stat.S_IWOTH:
            raise LurkError(f"the password file {file} can be changed by everyone; run: chmod 600 {file}")
        lines = file.read_text().splitlines()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise LurkError(f"cannot read the password file {file}: {reason}; name another with --auth") from error
    found = {}
    for number, text in enumerate(lines, 1):
        if text.strip() and not text.lstrip().startswith("#"):
            entry = _entry(text.split())
            if entry is None:
                raise LurkError(f"line {number} of {file} is not `name role hash`; lurk password NAME makes one")
            found[entry.person.name] = entry
    if not found:
        raise LurkError(f"the password file {file} names nobody; lurk password NAME makes a line for it")
    return found


def _entry(parts: list[str]) -> Entry | None:
    if len(parts) != 3 or not is_name(parts[0]) or parts[1] not in get_args(Role):
        return None
    cost = _HASH.fullmatch(parts[2])
    if cost is None or int(cost[1]) * int(cost[2]) * int(cost[3]) > _MOST_COST:
        return None
    role: Role = parts[1]  # type: ignore[assignment]  # looked up a line above
    return Entry(Person(parts[0], role), parts[2])


def check(entry: Entry | None, password: str) -> Person | None:
    """The person of an entry if the password is right; takes as long for a name that is not in the file."""
    fits = check_password_hash(entry.hash if entry else _NOBODY, password[:LONGEST_PASSWORD])
    return entry.person if entry and fits else None
