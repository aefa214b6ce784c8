"""Class names that a user gives, for the folders or numbers of an image set or for the outputs of a network."""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path

from lurk.errors import ImagesError, ModelError

SHOWN = 3
WORDNET_LINE = re.compile(r"(\d+[\s,;]+)?(?P<id>n\d{8})[\s,;]+(\d+[\s,;]+)?(?P<name>.+)")
WORDNET_ID = re.compile(r"n\d{8}")


@dataclass(frozen=True)
class ClassNames:
    """The content of a class-name file.

    Args:
        file: Name of the file.
        by_key: Class name by folder name or number.
        in_order: Class names in the order of the file, the first for class 0; empty if the file has none for some.
    """

    file: str
    by_key: Mapping[str, str]
    in_order: tuple[str, ...]

    def apply(self, classes: Sequence[str], used: Collection[int | None]) -> tuple[tuple[str, ...], str]:
        """New names for classes.

        Args:
            classes: Their names now: folder names, or numbers.
            used: Numbers of the classes that have images.

        Returns:
            One name for each class, all different, and how they were found; a class that the file does not contain
            keeps its name.

        Raises:
            ImagesError: The file does not fit the classes, or could fit them in two ways.
        """
        found, how = self._found(classes, sorted({number for number in used if number is not None}))
        missing = [old for number, old in enumerate(classes) if number in used and found[number] is None]
        names = [new or old for new, old in zip(found, classes, strict=True)]
        seen = Counter(names)
        unique = tuple(f"{new} ({old})" if seen[new] > 1 else new for new, old in zip(names, classes, strict=True))
        more = f"; it has no name for {', '.join(missing[:SHOWN])}" if missing else ""
        return unique, f"class names from {self.file}: {how}{more}"

    @cached_property
    def by_number(self) -> dict[int, str]:
        """Names by number: those of a table of numbers, perhaps with a line of titles, else of a list from 0 on."""
        table = {int(key): name for key, name in self.by_key.items() if key.isdecimal()}
        lines = len(self.in_order) or len(set(self.by_key.values()))
        return table if table and lines - len(table) <= 1 else dict(enumerate(self.in_order))

    def _found(self, classes: Sequence[str], used: Sequence[int]) -> tuple[Sequence[str | None], str]:
        wanted = [classes[number] for number in used]
        own = {_plain(name) for name in self.by_number.values()}
        if {_plain(name) for name in wanted} <= own:
            return classes, "they are the names that the set has"
        if all(name.isdecimal() for name in wanted) and self.by_number:
            return self._by_number(classes, [int(name) for name in wanted])
        if any(name in self.by_key for name in wanted):
            return [self.by_key.get(name) for name in classes], "by name"
        if len(self.in_order) != len(classes):
            raise ImagesError(
                f"--classes {self.file}: has none of the {len(classes)} classes, such as {classes[0]!r}, and is no "
                f"list of {len(classes)} names, one a line"
            )
        if own & {_plain(name) for name in wanted} or list(classes) != sorted(classes):
            raise ImagesError(
                f"--classes {self.file}: it is not certain which name is of which class; write a line for each, such "
                f"as '{classes[0]} {self.in_order[0]}'"
            )
        return self.in_order, f"in the order of the classes, so {classes[0]} is {self.in_order[0]}"

    def _by_number(self, classes: Sequence[str], wanted: Sequence[int]) -> tuple[Sequence[str | None], str]:
        """Names by number; if the names are from 0 on and the classes from 1 to their number, one less is taken."""
        names, first, last = self.by_number, min(wanted), max(wanted)
        shift = 1 if first > 0 and 0 in names and last == len(names) == max(names) + 1 else 0
        is_list = names == dict(enumerate(self.in_order))
        if is_list and 0 < first <= last < len(names):
            raise ImagesError(
                f"--classes {self.file}: its {len(names)} names may count from 0 or from 1, as no class is 0 or "
                f"{len(names)}; write a line for each, such as '{first} NAME'"
            )
        if not any(number - shift in names for number in wanted) or (is_list and last - shift > max(names)):
            raise ImagesError(
                f"--classes {self.file}: has names for {min(names)} to {max(names)}, and the classes are {first} to "
                f"{last}; write a line for each, such as '{first} NAME'"
            )
        found = [names.get(int(name) - shift) if name.isdecimal() else None for name in classes]
        example = next(number for number in wanted if number - shift in names)
        counted = "counted from 1" if shift else "counted from 0" if is_list else "as the file has it"
        return found, f"by number, {counted}, so {example} is {names[example - shift]}"


def read_class_names(path: Path) -> ClassNames:
    """Read a class-name file.

    Args:
        path: JSON (`{"n01440764": "tench"}`, `{"0": ["n01440764", "tench"]}`, `{"tench": 0}`, or a list of names), or
            text with a folder name and a class name on each line, separated by comma, tab or space, or with just a
            class name.

    Returns:
        Its content.

    Raises:
        ImagesError: The file cannot be read or holds no names.
    """
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise ImagesError(f"--classes {path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ImagesError(f"--classes {path}: is not UTF-8 text") from error
    if path.suffix.lower() == ".json" or text.lstrip().startswith(("{", "[")):
        found = _from_json(path, text)
    else:
        found = _from_lines(path, text)
    if not found.by_key and not found.in_order:
        raise ImagesError(f"--classes {path}: holds no names")
    return found


def name_outputs(value: object, what: str) -> tuple[tuple[str, ...], str]:
    """Names of a network's outputs, in their order.

    Args:
        value: A list of names; names by number, `{0: "cat"}`; numbers by name, `{"cat": 0}`, such as `class_to_idx`; or
            the path of a file that holds one of these as JSON, or a name on each line. Numbers may count from 1.
        what: What gave it, for messages.

    Returns:
        The names, and a note if the numbers count from 1.

    Raises:
        ModelError: It is none of these, or a number has no name.
    """
    if isinstance(value, (str, PathLike)):
        value = _read_outputs(Path(value), what)
    if isinstance(value, Mapping):
        return _in_order(value, what)
    if isinstance(value, (bytes, set, frozenset)) or not isinstance(value, Iterable):
        raise ModelError(
            f"{what}: classes is to be a list of names, or a dict such as {{0: 'cat'}}, not {_kind(value)}"
        )
    return tuple(_name(item) for item in value), ""


def _read_outputs(path: Path, what: str) -> object:
    if not path.is_file():
        raise ModelError(f"{what}: classes is to be a list of names, or their file; {str(path)[:80]!r} is no file")
    found = read_class_names(path)
    return found.by_number or found.by_key


def _in_order(table: Mapping[object, object], what: str) -> tuple[tuple[str, ...], str]:
    """Names of a table from number to name, or from name to number."""
    is_reversed = all(isinstance(key, str) and hasattr(item, "__index__") for key, item in table.items())
    pairs = [(item, key) if is_reversed else (key, item) for key, item in table.items()]
    names = {_number(number): _name(name) for number, name in pairs}
    if not table or None in names:
        raise ModelError(f"{what}: classes is to name numbers, as {{0: 'cat'}} or {{'cat': 0}} do")
    first = 0 if 0 in names else 1
    missing = next((number for number in range(first, first + len(table)) if number not in names), None)
    if missing is not None:
        raise ModelError(f"{what}: classes has no name for output {missing}, or two for one; it names {len(table)}")
    note = f"the class names count from 1, so output 0 is {names[1]!r}" if first else ""
    return tuple(names[number] for number in range(first, first + len(table))), note


def _number(key: object) -> int | None:
    is_number = (isinstance(key, str) and key.isdecimal()) or (hasattr(key, "__index__") and not isinstance(key, bool))
    return int(str(key)) if is_number else None


def _name(item: object) -> str:
    """A name; of a pair of WordNet id and name the name, of several synonyms all."""
    if not isinstance(item, (list, tuple)):
        return str(item)
    words = [str(word) for word in item]
    return ", ".join(words[1:] if len(words) == 2 and WORDNET_ID.fullmatch(words[0]) else words)


def _kind(value: object) -> str:
    kind = type(value).__name__
    return f"a {kind}, which has no order" if isinstance(value, (set, frozenset)) else kind


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", " ", name).strip().casefold()


def _from_json(path: Path, text: str) -> ClassNames:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ImagesError(f"--classes {path}: is not JSON: {error}") from error
    except RecursionError as error:
        raise ImagesError(f"--classes {path}: is not JSON of a known form: too deep") from error
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ClassNames(path.name, {}, tuple(item.strip() for item in value))
    is_table = isinstance(value, dict) and value
    if is_table and all(isinstance(item, int) and not isinstance(item, bool) for item in value.values()):
        return ClassNames(path.name, {str(number): name.strip() for name, number in value.items()}, ())
    by_key: dict[str, str] = {}
    for key, item in value.items() if isinstance(value, dict) else [("", None)]:
        if isinstance(item, str):
            by_key[key] = item.strip()
        elif isinstance(item, list) and len(item) >= 2 and all(isinstance(part, str) for part in item):
            by_key[key] = by_key[item[0]] = item[1].strip()
        else:
            raise ImagesError(f'--classes {path}: is to be {{"folder": "name", …}} or a list of names, unlike {key!r}')
    return ClassNames(path.name, by_key, ())


def _from_lines(path: Path, text: str) -> ClassNames:
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    by_key: dict[str, str] = {}
    for line in lines:
        key, name = _pair(line)
        if key in by_key and by_key[key] != name and "," in line:
            raise ImagesError(f"--classes {path}: names {key!r} twice, {by_key[key]!r} and {name!r}")
        if name:
            by_key[key] = name
    return ClassNames(path.name, by_key, tuple(line.strip("\"'") for line in lines))


def _pair(line: str) -> tuple[str, str]:
    """Folder name and class name of a line; they are separated by a tab, else by a comma, else by a space.

    A comma after a space belongs to the class name: in `n01440764 tench, Tinca tinca` the folder is the first word.
    """
    if (wordnet := WORDNET_LINE.fullmatch(line)) is not None:
        return wordnet["id"], wordnet["name"].strip("\"'")
    for separator in ("\t", r"(?<=^\d):\s+|(?<=\d\d):\s+", r"\s*[,;]\s*", r"\s+"):
        key, *rest = re.split(separator, line, maxsplit=1)
        if rest and (separator != r"\s*[,;]\s*" or " " not in key.strip()):
            return key.strip().strip("\"'"), rest[0].strip().strip("\"'")
    return line, ""
