"""The file that lists the studies of a server, `lurk.toml`: read here, each mistake named with its line.

    [server]
    port = 8050

    [[study]]
    name = "birds"
    model = "nets/birds.py:make"
    weights = "runs/best.safetensors"
    data = "photographs"

Paths are relative to the file.
"""

import difflib
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, fields, replace
from pathlib import Path
from typing import Any, get_args

from lurk.config.settings import LONGEST_NAME, STUDY_OPTIONS, Settings, flag
from lurk.config.toml_lines import Table, line_of, syntax_error
from lurk.errors import LurkError
from lurk.images.sources import SOURCES

LARGEST_BYTES = 1 << 20
MOST_STUDIES = 1000
OPTIONS = {item.name: item for item in fields(Settings)}
SERVER_OPTIONS = tuple(name for name in OPTIONS if name not in (*STUDY_OPTIONS, "config"))
FILES = ("FILE", "DIR")
WEIGHT_FILES = (".pth", ".pt", ".safetensors")
KINDS: Mapping[type, str] = {str: "a text in quotes", int: "a whole number", float: "a number", bool: "true or false"}
Value = str | int | float | bool


@dataclass(frozen=True)
class Config:
    """What a file says.

    Args:
        path: The file, absolute.
        server: Options of the server by name; those that the file does not name are missing.
        studies: The options of each study.
    """

    path: Path
    server: Mapping[str, Value]
    studies: tuple[Settings, ...]

    def of_cache(self, cache: str) -> list[Settings]:
        """The options of each study, with a cache directory."""
        return [replace(study, cache=cache) for study in self.studies]

    def by_name(self) -> dict[str, Settings]:
        """The options of each study by its name."""
        return {study.study: study for study in self.studies}


def place(path: str | Path) -> Path:
    """Where a file lies, from the root; a link stays one, as what it leads to may be replaced."""
    return Path(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100 - resolve() would follow the link


def read(path: str | Path) -> Config:
    """Read a file.

    Args:
        path: The file.

    Returns:
        What it says.

    Raises:
        LurkError: It cannot be read, or something in it is wrong; the message begins with file and line.
    """
    file = place(path)
    try:
        data = file.read_bytes()
    except OSError as error:
        raise LurkError(f"--config {str(path)!r} cannot be read: {error.strerror}") from error
    if len(data) > LARGEST_BYTES:
        raise LurkError(f"--config {str(path)!r} is larger than {LARGEST_BYTES >> 20} MB: no list of studies")
    return _Reader(file, data).config()


class _Reader:
    """Reads one file."""

    def __init__(self, file: Path, data: bytes) -> None:
        self._file = file
        try:
            self._text = data.decode().replace("\r\n", "\n")
        except UnicodeDecodeError as error:
            raise self._error(data[: error.start].count(b"\n") + 1, "is not UTF-8 text") from error
        try:
            self._table: dict[str, Any] = tomllib.loads(self._text)
        except tomllib.TOMLDecodeError as error:
            line, words = syntax_error(self._text, error)
            raise self._error(line, f"this is not TOML: {words}") from error

    def _error(self, line: int, words: str) -> LurkError:
        return LurkError(f"{self._file}:{line}: {words}")

    def _wrong(self, is_there: Callable[[Table], bool], words: str) -> LurkError:
        return self._error(line_of(self._text, is_there), words)

    def config(self) -> Config:
        """What the file says."""
        for name in self._table:
            if name not in ("server", "study"):
                known = "what there is: one [server] and a [[study]] for each study"
                raise self._wrong(_has(name), f"there is no {name!r} here; {known}")
        server, studies = self._table.get("server", {}), self._table.get("study", [])
        if not isinstance(server, dict):
            raise self._wrong(_has("server"), "server is to be a table: write [server], and its options below")
        if not isinstance(studies, list) or not all(isinstance(study, dict) for study in studies):
            raise self._wrong(
                _has("study"), "each study is to be a table of its own: write [[study]], with two brackets"
            )
        if not studies:
            raise self._error(1, "there is no study; write [[study]] and below it model = …")
        if len(studies) > MOST_STUDIES:
            raise self._wrong(_has_studies(MOST_STUDIES), f"there are more than {MOST_STUDIES} studies")
        options = self._server(server)
        return Config(self._file, options, self._studies(studies))

    def _server(self, table: Table) -> dict[str, Value]:
        values = {
            name: self._value("[server]", SERVER_OPTIONS, name, given, _has("server", name))
            for name, given in table.items()
        }
        for name, value in values.items():
            if OPTIONS[name].metadata["metavar"] in FILES and isinstance(value, str):
                values[name] = self._absolute(value)
        self._settings(values, _has("server"))
        return values

    def _studies(self, tables: list[dict[str, Any]]) -> tuple[Settings, ...]:
        found: dict[str, tuple[Settings, int]] = {}
        for number, table in enumerate(tables):
            study = self._study(number, table)
            where = _has_study(number, "name") if "name" in table else _has_studies(number)
            name = study.study.casefold()  # names of files, which some systems do not tell apart by case
            if name in found:
                before, first = found[name]
                line = line_of(self._text, _has_studies(first))
                same = "with the same model, images and options, " if study.name is None and before.name is None else ""
                advice = "give each a name of its own"
                raise self._wrong(where, f"the study of line {line}, {same}is called {before.study!r} too; {advice}")
            found[name] = study, number
        return tuple(study for study, _ in found.values())

    def _study(self, number: int, table: Table) -> Settings:
        def where(name: str) -> Callable[[Table], bool]:
            return _has_study(number, name)

        values = {
            name: self._value("a [[study]]", STUDY_OPTIONS, name, given, where(name)) for name, given in table.items()
        }
        if "model" not in values:
            known = (
                "efficientnet_lite0, a torchvision classification network, package.module:factory or file.py:factory"
            )
            raise self._wrong(_has_studies(number), f"this study has no model; write model = …: {known}")
        for name, check in _CHECKS.items():
            if isinstance(values.get(name), str):
                value, problem = check(self, str(values[name]))
                if problem:
                    raise self._wrong(where(name), problem)
                values[name] = value
        return self._settings(values, _has_studies(number))

    def _value(
        self, place: str, known: tuple[str, ...], name: str, value: object, where: Callable[[Table], bool]
    ) -> Value:
        """A value that is of its option's type and range."""
        if name not in known:
            raise self._wrong(where, f"{place} has no option {name!r}; {_advice(name, known)}")
        kinds = _kinds(OPTIONS[name])
        if float in kinds and type(value) is int:
            value = float(value)
        if type(value) not in kinds or not isinstance(value, str | int | float | bool):
            wanted = " or ".join(KINDS[kind] for kind in kinds)
            raise self._wrong(where, f"{name} is to be {wanted}, not {_shown(value)}")
        if isinstance(value, str) and not value.strip():
            raise self._wrong(where, f"{name} is empty; leave the line out for the default")
        if isinstance(value, str) and (len(value) > LONGEST_NAME or not value.isprintable()):
            raise self._wrong(where, f"{name} is longer than {LONGEST_NAME} characters or holds a control character")
        self._settings({name: value}, where)
        return value

    def _settings(self, values: Mapping[str, Any], where: Callable[[Table], bool]) -> Settings:
        try:
            return Settings(**values)
        except LurkError as error:
            words = str(error)
            for name in values:
                words = words.replace(flag(name) + " ", name + " ")
            raise self._wrong(where, words) from error

    def _absolute(self, value: str) -> str:
        return str((self._file.parent / Path(value).expanduser()).resolve())

    def _model(self, value: str) -> tuple[str, str]:
        """A model with the path of its file made absolute, and what is wrong with it."""
        place, _, factory = value.rpartition(":")
        if not (place or value).endswith(".py"):
            return value, ""
        if not factory or not place:
            return value, f"model {value!r} names no factory; write the function that makes the network: {value}:make"
        file = self._absolute(place)
        return f"{file}:{factory}", "" if Path(file).is_file() else f"model: there is no file {file}"

    def _weights(self, value: str) -> tuple[str, str]:
        file = self._absolute(value)
        if not value.lower().endswith(WEIGHT_FILES):
            is_path = "/" in value or "\\" in value
            known = "DEFAULT, random, a torchvision weights name, or a .pth, .pt or .safetensors file"
            return value, f"weights {value!r} is none of: {known}" if is_path else ""
        return file, "" if Path(file).is_file() else f"weights: there is no file {file}"

    def _data(self, value: str) -> tuple[str, str]:
        name, colon, folder = value.partition(":")
        file = self._absolute(value)
        if Path(file).exists() and any(SOURCES[kind].accepts(file) for kind in SOURCES):
            return file, ""
        if any(SOURCES[kind].accepts(value) and kind not in ("folder", "list") for kind in SOURCES):
            place = self._absolute(folder)
            missing = "" if not colon or Path(place).is_dir() else f"data: there is no folder {place}"
            return f"{name}:{place}" if colon else value, missing
        kinds = "demo, a folder, a .csv or .txt list, or a torchvision data set name"
        what = "is none of" if Path(file).exists() else "is not there, and is none of"
        return value, f"data: {file} {what}: {kinds}"

    def _classes(self, value: str) -> tuple[str, str]:
        file = self._absolute(value)
        return file, "" if Path(file).is_file() else f"classes: there is no file {file}"


_CHECKS: Mapping[str, Callable[[_Reader, str], tuple[str, str]]] = {
    "model": _Reader._model,
    "weights": _Reader._weights,
    "data": _Reader._data,
    "classes": _Reader._classes,
}


def _has(*names: str) -> Callable[[Table], bool]:
    """Whether a table, or a table in it, has a key."""

    def is_there(table: Table) -> bool:
        found: object = table
        for name in names:
            if not isinstance(found, Mapping) or name not in found:
                return False
            found = found[name]
        return True

    return is_there


def _has_studies(number: int) -> Callable[[Table], bool]:
    return lambda table: isinstance(table.get("study"), list) and len(_list(table)) > number


def _has_study(number: int, name: str) -> Callable[[Table], bool]:
    has_it = _has_studies(number)
    return lambda table: has_it(table) and name in _list(table)[number]


def _list(table: Table) -> list[Any]:
    found = table["study"]
    return found if isinstance(found, list) else []


def _kinds(item: "Field[Any]") -> tuple[type, ...]:
    kinds = [kind for kind in get_args(item.type) or (item.type,) if kind is not type(None)]
    return tuple(kind for kind in kinds if isinstance(kind, type))


def _advice(name: str, known: tuple[str, ...]) -> str:
    """What to write instead of an option that is not there."""
    place = "[server]" if name in SERVER_OPTIONS else "a [[study]]" if name in STUDY_OPTIONS else ""
    if place:
        return f"{name} belongs into {place}"
    close = difflib.get_close_matches(name.replace("-", "_"), known, n=1)
    return f"did you mean {close[0]}?" if close else f"its options are: {', '.join(known)}"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return repr(value)[:60]
    return "a list" if isinstance(value, list) else "a table" if isinstance(value, dict) else "a date or time"
