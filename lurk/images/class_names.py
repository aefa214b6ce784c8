"""Class-name files, which give names to the class folders or class numbers of an image set."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lurk.errors import ImagesError


@dataclass(frozen=True)
class ClassNames:
    """The content of a class-name file.

    Args:
        file: Name of the file.
        by_key: Class name by folder name or number.
        in_order: Class names in the order of the file; empty if the file maps names and is no list.
    """

    file: str
    by_key: Mapping[str, str]
    in_order: tuple[str, ...]

    def apply(self, classes: tuple[str, ...]) -> tuple[str, ...]:
        """New names for classes.

        Args:
            classes: Their names now: folder names, or numbers.

        Returns:
            One name for each class, all different; a class that the file does not contain keeps its name.

        Raises:
            ImagesError: The file contains none of the classes, and is not a list with one name for each.
        """
        if any(name in self.by_key for name in classes):
            found = tuple(self.by_key.get(name, name) for name in classes)
        elif all(name.isdecimal() for name in classes) and len(self.in_order) > max(map(int, classes)):
            found = tuple(self.in_order[int(name)] for name in classes)
        elif len(self.in_order) == len(classes):
            found = self.in_order
        else:
            raise ImagesError(
                f"--classes {self.file}: has none of the {len(classes)} classes, such as {classes[0]!r}, and is no "
                f"list of {len(classes)} names, one a line"
            )
        seen = Counter(found)
        return tuple(f"{new} ({old})" if seen[new] > 1 else new for new, old in zip(found, classes, strict=True))


def read_class_names(path: Path) -> ClassNames:
    """Read a class-name file.

    Args:
        path: JSON (`{"n01440764": "tench"}`, `{"0": ["n01440764", "tench"]}`, or a list of names), or text with a
            folder name and a class name on each line, separated by comma, tab or space, or with just a class name.

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


def _from_json(path: Path, text: str) -> ClassNames:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ImagesError(f"--classes {path}: is not JSON: {error}") from error
    except RecursionError as error:
        raise ImagesError(f"--classes {path}: is not JSON of a known form: too deep") from error
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ClassNames(path.name, {}, tuple(item.strip() for item in value))
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
    for separator in ("\t", r"\s*[,;]\s*", r"\s+"):
        key, *rest = re.split(separator, line, maxsplit=1)
        if rest and (separator != r"\s*[,;]\s*" or " " not in key.strip()):
            return key.strip().strip("\"'"), rest[0].strip().strip("\"'")
    return line, ""
