"""On which line of a TOML file something stands: `tomllib` gives values without their places."""

import re
import tomllib
from bisect import bisect_left
from collections.abc import Callable, Mapping

LONGEST_LOOK = 500
Table = Mapping[str, object]


def line_of(text: str, is_there: Callable[[Table], bool]) -> int:
    r"""Line on which something begins, from 1, in a text that is TOML.

    The file is read up to one line after the other: what begins on a line is there with it and not before it.

    >>> line_of("a = 1\nb = [\n2]\n", lambda table: "b" in table)
    2

    Args:
        text: The whole text.
        is_there: Whether what is looked for is in a table that was read; once there, it stays.

    Returns:
        The line; the last one where it is nowhere.
    """
    lines = text.split("\n")

    def is_in_first(count: int) -> bool:
        for end in range(count, len(lines) + 1):
            try:
                return is_there(tomllib.loads("\n".join(lines[:end])))
            except tomllib.TOMLDecodeError:  # the value that begins on this line goes on on the next
                continue
        return True

    return min(bisect_left(range(1, len(lines) + 1), True, key=is_in_first) + 1, len(lines))


def syntax_error(text: str, error: tomllib.TOMLDecodeError) -> tuple[int, str]:
    """Line of a syntax error, and what is wrong there in tomllib's words."""
    message = str(error)
    found = re.search(r" \(at line (\d+), column (\d+)\)$", message)
    if found is None:
        return _last_begun(text), "what begins here has no end"
    return int(found[1]), f"{message[: found.start()]}, at column {found[2]}"


def _last_begun(text: str) -> int:
    """Line after the last one up to which a text is TOML, where that is near its end."""
    lines = text.rstrip("\n").split("\n")
    for count in range(len(lines) - 1, max(len(lines) - LONGEST_LOOK, 0), -1):
        try:
            tomllib.loads("\n".join(lines[:count]))
        except tomllib.TOMLDecodeError:
            continue
        return count + 1
    return len(lines) if len(lines) > LONGEST_LOOK else 1
