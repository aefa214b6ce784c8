"""Reads `lurk.toml`, the file that lists the studies of a server; every error names the line of the mistake.

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

from lurk.config.model_name import is_network_file
from lurk.config.options import LONGEST_NAME, STUDY_OPTIONS, Settings, flag
from lurk.config.toml_lines import Keys, Table, line_of, syntax_error
from lurk.config.weights_name import SUFFIXES, split_weights
from lurk.errors import LurkError
from lurk.images.sources import SOURCES

LARGEST_BYTES = 1 << 20
MOST_STUDIES = 1000
OPTIONS = {item.name: item for item in fields(Settings)}
SERVER_OPTIONS = tuple(name for name in OPTIONS if name not in (*STUDY_OPTIONS, "config"))
FILES = ("FILE", "DIR")
TYPE_NAMES: Mapping[type, str] = {
    str: "a text in quotes",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}
Value = str | int | float | bool


@dataclass(frozen=True)
class Config:
    """What a `lurk.toml` says.

    Args:
        path: The file, absolute.
        server: Options of the server by name, only those that the file names.
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


class _MistakeError(LurkError):
    """Something wrong in the file, and the keys that lead to it."""

    def __init__(self, message: str, keys: Keys) -> None:
        super().__init__(message)
        self.keys = keys


def absolute_path(path: str | Path) -> Path:
    """A path from the root; a symbolic link is kept, as what it points to may be replaced."""
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
    file = absolute_path(path)
    try:
        data = file.read_bytes()
    except OSError as error:
        raise LurkError(f"--config {str(path)!r} cannot be read: {error.strerror}") from error
    if len(data) > LARGEST_BYTES:
        raise LurkError(f"--config {str(path)!r} is larger than {LARGEST_BYTES >> 20} MB: no list of studies")
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise LurkError(f"{file}:{line}: is not UTF-8 text") from error
    try:
        return _config(file, text)
    except tomllib.TOMLDecodeError as error:
        line, words = syntax_error(text, error)
        raise LurkError(f"{file}:{line}: this is not TOML: {words}") from error
    except _MistakeError as error:
        raise LurkError(f"{file}:{line_of(text, error.keys)}: {error}") from error


def _config(file: Path, text: str) -> Config:
    table = tomllib.loads(text)
    for name in table:
        if name not in ("server", "study"):
            known = "what there is: one [server] and a [[study]] for each study"
            raise _MistakeError(f"there is no {name!r} here; {known}", (name,))
    server, studies = table.get("server", {}), table.get("study", [])
    if not isinstance(server, dict):
        raise _MistakeError("server is to be a table: write [server], and its options below", ("server",))
    if not isinstance(studies, list) or not all(isinstance(study, dict) for study in studies):
        raise _MistakeError("each study is to be a table of its own: write [[study]], with two brackets", ("study",))
    if not studies:
        raise _MistakeError("there is no study; write [[study]] and below it model = …", ())
    if len(studies) > MOST_STUDIES:
        raise _MistakeError(f"there are more than {MOST_STUDIES} studies", ("study", MOST_STUDIES))
    return Config(file, _server(file.parent, server), _studies(file.parent, text, studies))


def _server(folder: Path, table: Table) -> dict[str, Value]:
    values = {name: _value("[server]", SERVER_OPTIONS, name, given, ("server", name)) for name, given in table.items()}
    for name, value in values.items():
        if OPTIONS[name].metadata["metavar"] in FILES and isinstance(value, str):
            values[name] = _absolute(folder, value)
    _settings(values, ("server",))
    return values


def _studies(folder: Path, text: str, tables: list[Table]) -> tuple[Settings, ...]:
    found: dict[str, tuple[Settings, int]] = {}
    for number, table in enumerate(tables):
        study = _study(folder, number, table)
        name = study.study.casefold()  # a study's name is also a file's, and some systems ignore the case of those
        if name in found:
            before, first = found[name]
            line = line_of(text, ("study", first))
            same = "with the same model, images and options, " if study.name is None and before.name is None else ""
            raise _MistakeError(
                f"the study of line {line}, {same}is called {before.study!r} too; give each a name of its own",
                ("study", number, "name") if "name" in table else ("study", number),
            )
        found[name] = study, number
    return tuple(study for study, _ in found.values())


def _study(folder: Path, number: int, table: Table) -> Settings:
    values = {
        name: _value("a [[study]]", STUDY_OPTIONS, name, given, ("study", number, name))
        for name, given in table.items()
    }
    if "model" not in values:
        known = "efficientnet_lite0, a torchvision network, package.module:factory, file.py:factory or a file"
        raise _MistakeError(f"this study has no model; write model = …: {known}", ("study", number))
    for name, resolve in _RESOLVE.items():
        if name in values:
            try:
                values[name] = resolve(folder, str(values[name]))
            except LurkError as error:
                raise _MistakeError(str(error), ("study", number, name)) from error
    return _settings(values, ("study", number))


def _value(table: str, known: tuple[str, ...], name: str, value: object, keys: Keys) -> Value:
    """A value, checked against the type and range of its option."""
    if name not in known:
        raise _MistakeError(f"{table} has no option {name!r}; {_advice(name, known)}", keys)
    types = _types(OPTIONS[name])
    if float in types and type(value) is int:
        value = float(value)
    if type(value) not in types or not isinstance(value, str | int | float | bool):
        wanted = " or ".join(TYPE_NAMES[kind] for kind in types)
        raise _MistakeError(f"{name} is to be {wanted}, not {_summary(value)}", keys)
    if isinstance(value, str) and not value.strip():
        raise _MistakeError(f"{name} is empty; leave the line out for the default", keys)
    if isinstance(value, str) and (len(value) > LONGEST_NAME or not value.isprintable()):
        raise _MistakeError(f"{name} is longer than {LONGEST_NAME} characters or holds a control character", keys)
    _settings({name: value}, keys)
    return value


def _settings(values: Mapping[str, Any], keys: Keys) -> Settings:
    try:
        return Settings(**values)
    except LurkError as error:
        message = str(error)
        for name in values:
            message = message.replace(flag(name) + " ", name + " ")
        raise _MistakeError(message, keys) from error


def _absolute(folder: Path, value: str) -> str:
    return os.path.realpath(folder / os.path.expanduser(value))  # noqa: PTH111 - a Path raises for a loop of links


def _existing(folder: Path, name: str, value: str) -> str:
    """Absolute path of a file that must be there."""
    file = _absolute(folder, value)
    if not Path(file).is_file():
        raise LurkError(f"{name}: there is no file {file}")
    return file


def _model(folder: Path, value: str) -> str:
    code, _, factory = value.rpartition(":")
    if is_network_file(value) or is_network_file(_absolute(folder, value)):
        return _existing(folder, "model", value)
    if not (code or value).endswith(".py"):
        return value
    if not factory or not code:
        raise LurkError(f"model {value!r} names no factory; write the function that makes the network: {value}:make")
    return f"{_existing(folder, 'model', code)}:{factory}"


def _weights(folder: Path, value: str) -> str:
    file, part = split_weights(value)
    if file.lower().endswith(SUFFIXES) or Path(_absolute(folder, file)).is_file():
        return _existing(folder, "weights", file) + (f":{part}" if part else "")
    if "/" in value or "\\" in value:
        known = f"DEFAULT, random, a torchvision weights name, or a file that ends in {', '.join(SUFFIXES)}"
        raise LurkError(f"weights {value!r} is none of: {known}")
    return value


def _data(folder: Path, value: str) -> str:
    file = _absolute(folder, value)
    if Path(file).exists() and any(SOURCES[kind].accepts(file) for kind in SOURCES):
        return file
    if any(SOURCES[kind].accepts(value) and kind not in ("folder", "list") for kind in SOURCES):
        name, colon, below = value.partition(":")
        root = _absolute(folder, below)
        if colon and not Path(root).is_dir():
            raise LurkError(f"data: there is no folder {root}")
        return f"{name}:{root}" if colon else value
    what = "is none of" if Path(file).exists() else "is not there, and is none of"
    raise LurkError(f"data: {file} {what}: demo, a folder, a .csv or .txt list, or a torchvision data set name")


def _classes(folder: Path, value: str) -> str:
    return _existing(folder, "classes", value)


_RESOLVE: Mapping[str, Callable[[Path, str], str]] = {
    "model": _model,
    "weights": _weights,
    "data": _data,
    "classes": _classes,
}


def _types(item: "Field[Any]") -> tuple[type, ...]:
    """The types of an option, without None."""
    return tuple(
        kind for kind in get_args(item.type) or (item.type,) if isinstance(kind, type) and kind is not type(None)
    )


def _advice(name: str, known: tuple[str, ...]) -> str:
    """What to write instead of an unknown option."""
    table = "[server]" if name in SERVER_OPTIONS else "a [[study]]" if name in STUDY_OPTIONS else ""
    if table:
        return f"{name} belongs into {table}"
    close = difflib.get_close_matches(name.replace("-", "_"), known, n=1)
    return f"did you mean {close[0]}?" if close else f"its options are: {', '.join(known)}"


def _summary(value: object) -> str:
    """A wrong value in a few words."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return repr(value)[:60]
    return "a list" if isinstance(value, list) else "a table" if isinstance(value, dict) else "a date or time"
