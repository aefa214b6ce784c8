"""The line of a TOML file on which a value or a mistake stands; `tomllib` gives values without their lines."""

import re
import tomllib
from bisect import bisect_left
from collections.abc import Mapping
from typing import Any

LONGEST_SEARCH = 500
Keys = tuple[str | int, ...]
Table = Mapping[str, object]


def line_of(text: str, keys: Keys) -> int:
    r"""Line on which a value begins, counted from 1.

    The line is found by parsing the beginnings of the text: the value is in all that reach its line, in none before.

    >>> line_of("a = 1\nb = [\n2]\n", ("b",))
    2

    Args:
        text: The whole text, valid TOML.
        keys: Keys of tables, and numbers of tables in an array of tables, that lead to the value.

    Returns:
        The line; the last one if there is no such value.
    """
    lines = text.split("\n")

    def is_in_first(count: int) -> bool:
        for end in range(count, len(lines) + 1):
            try:
                return _has(tomllib.loads("\n".join(lines[:end])), keys)
            except tomllib.TOMLDecodeError:  # the value that begins on this line ends on a later one
                continue
        return True

    return min(bisect_left(range(1, len(lines) + 1), True, key=is_in_first) + 1, len(lines))


def _has(value: Any, keys: Keys) -> bool:
    """Whether keys lead to something inside a value."""
    for key in keys:
        if key not in (range(len(value)) if isinstance(value, list) else value if isinstance(value, dict) else ()):
            return False
        value = value[key]
    return True


def syntax_error(text: str, error: tomllib.TOMLDecodeError) -> tuple[int, str]:
    """Line of a syntax error, and what is wrong there in tomllib's words."""
    message = str(error)
    found = re.search(r" \(at line (\d+), column (\d+)\)$", message)
    if found is None:
        return _line_of_unfinished_value(text), "what begins here has no end"
    return int(found[1]), f"{message[: found.start()]}, at column {found[2]}"


def _line_of_unfinished_value(text: str) -> int:
    """Line after the longest beginning that is TOML; only the last lines of a long text are searched for it."""
    lines = text.rstrip("\n").split("\n")
    for count in range(len(lines) - 1, max(len(lines) - LONGEST_SEARCH, 0), -1):
        try:
            tomllib.loads("\n".join(lines[:count]))
        except tomllib.TOMLDecodeError:
            continue
        return count + 1
    return len(lines) if len(lines) > LONGEST_SEARCH else 1
