"""Labels as texts become class numbers and class names; the order of class names."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lurk.records import counted

MAX_NUMBER = 100_000
SHOWN = 3
NO_CLASS = frozenset(("", "nan", "NaN", "NAN", "na", "NA", "N/A", "n/a", "<NA>", "null", "NULL"))
WHOLE = re.compile(r"[0-9]{1,15}(\.0*)?")
SCIENTIFIC = re.compile(r"[0-9]\.[0-9]*e\+[0-9]{2}")
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
RUN_OF_DIGITS = re.compile(r"([0-9]+)")


@dataclass(frozen=True)
class Labels:
    """Labels as numbers.

    Args:
        numbers: Class number of each image; None for an image without a class.
        names: Names of the classes; None if there are none.
        notes: What was understood, a line each.
    """

    numbers: tuple[int | None, ...]
    names: tuple[str, ...] | None
    notes: tuple[str, ...] = ()


def number_labels(texts: Sequence[str]) -> Labels:
    """Give classes to labels.

    Whole numbers from 0 on are class numbers as they are, `10.0` as 10; `001` stays the name of class 1. Other labels
    are numbered in the order of `sort_names`. An empty label, nan, or -1 beside other whole numbers is no class.

    Args:
        texts: The label of each image.

    Returns:
        Numbers and names.
    """
    known = {text for text in texts if text not in NO_CLASS}
    minus = {text for text in known if NUMBER.fullmatch(text) and float(text) == -1}
    rest = known - minus
    if minus and rest and all(map(_whole, rest)) and {float(text) for text in rest} != {1.0}:
        known = rest
    missing = sum(text not in known for text in texts)
    if not known:
        return Labels((None,) * len(texts), None)
    lack = "has" if missing == 1 else "have"
    notes = (f"{counted(missing, 'image')} {lack} no class (an empty label, nan or -1)",) if missing else ()
    plain = {text: _whole(text) for text in known}
    values = {text: int(name) for text, name in plain.items() if name is not None}
    is_number = len(values) == len(known) and max(values.values()) < MAX_NUMBER
    if is_number and len(set(values.values())) == len(set(plain.values())):
        return Labels(tuple(values.get(text) for text in texts), _numbered(plain, values), notes)
    names = {text: plain[text] or text for text in known} if len(values) == len(known) else {t: t for t in known}
    order = sort_names(set(names.values()))
    place = {name: number for number, name in enumerate(order)}
    return Labels(tuple(place[names[text]] if text in known else None for text in texts), tuple(order), notes)


def _whole(text: str) -> str | None:
    """A whole number without what follows its point, also as `numpy.savetxt` writes it; None for another text."""
    if SCIENTIFIC.fullmatch(text) and float(text).is_integer():
        return str(int(float(text)))
    return text.partition(".")[0] if WHOLE.fullmatch(text) else None


def _numbered(plain: dict[str, str | None], values: dict[str, int]) -> tuple[str, ...]:
    """Names of the classes 0, 1, … to the highest number; those without images are padded as the others are."""
    given = {value: plain[text] or text for text, value in values.items()}
    widths = {len(name) for name in given.values()}
    width = widths.pop() if len(widths) == 1 and any(name.startswith("0") for name in given.values()) else 0
    return tuple(given.get(number, f"{number:0{width}}") for number in range(max(given) + 1))


def sort_names(names: Iterable[str]) -> list[str]:
    """Sort class names: numbers by their value, other names with runs of digits by theirs, so 2 comes before 10."""
    return sorted(names, key=_order)


def _order(name: str) -> tuple[object, ...]:
    if NUMBER.fullmatch(name) and math.isfinite(float(name)):
        return (0, float(name), name)
    parts = RUN_OF_DIGITS.split(name)
    return (1, tuple((part, 0) if k % 2 == 0 else ("", int(part)) for k, part in enumerate(parts)), name)


def describe_classes(names: Sequence[str]) -> str:
    """How many classes there are, and the first three."""
    if len(names) <= SHOWN:
        return f"{len(names)} class{'' if len(names) == 1 else 'es'}: {', '.join(names)}"
    return f"{len(names)} classes, first three: {', '.join(names[:SHOWN])}"


def is_combination(texts: Sequence[str]) -> str:
    """The sign that joins several labels in a cell, such as `|`; empty if the cells hold one label each."""
    known = set(texts)
    for sign in ("|", ";", ",", " "):
        joined = [text for text in known if sign in text]
        parts = Counter(part.strip() for text in joined for part in text.split(sign))
        is_plain = sign != " " or all(map(NUMBER.fullmatch, parts))
        if joined and is_plain and any(parts[part] > 1 or part in known for part in parts):
            return sign
    return ""
