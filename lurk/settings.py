"""Every option, with its default and its help: the command line, the environment and the README's table come from here.

An option `batch_size` is the flag `--batch-size` and the environment variable `LURK_BATCH_SIZE`; a flag wins.
"""

import argparse
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from lurk.broker import check_queue
from lurk.errors import LurkError
from lurk.records import JobSpec, digest

DEFAULT_PORT = 8050
LONGEST_NAME = 1000


def _option(default: Any, help_: str, *, metavar: str | None = None, short: str = "") -> Any:
    return field(default=default, metadata={"help": help_, "metavar": metavar, "short": short})


@dataclass(frozen=True)
class Settings:
    """The options of a run."""

    model: str = _option(
        "efficientnet_lite0",
        "the model: efficientnet_lite0, a torchvision classification network, package.module:factory or "
        "file.py:factory",
        metavar="NAME",
    )
    weights: str | None = _option(
        None,
        "its weights: DEFAULT, a torchvision weights name, random, or a .pth, .pt or .safetensors file",
        metavar="WHAT",
    )
    data: str = _option(
        "demo",
        "the images: demo, a folder with a sub-folder per class, a flat folder, a .csv or .txt list, or a torchvision "
        "data set name",
        metavar="WHERE",
    )
    classes: str | None = _option(None, "file that maps folder names to class names", metavar="FILE")
    sample: int | None = _option(None, "take only so many images a class, the same ones each time", metavar="N")
    layers: str | None = _option(None, "regular expression that narrows or widens the layers", metavar="REGEX")
    top: int = _option(9, "images kept for each unit", metavar="K")
    batch_size: int | None = _option(None, "images a forward pass (16 on a CPU, 128 on a GPU)", metavar="N")
    workers: int | None = _option(None, "threads that read images (one a core, at most 8)", metavar="N")
    device: str = _option("auto", "where the model runs: auto, cpu, cuda, cuda:1, mps", metavar="NAME")
    shards: int = _option(1, "pieces that a sweep is cut into, for several workers", metavar="N")
    queue: str = _option(
        "local",
        "where jobs wait: local, or a Redis that several machines share, redis://:PASSWORD@HOST:6379/0",
        metavar="WHERE",
    )
    cache: str = _option("cache", "folder for results", metavar="DIR")
    host: str = _option("127.0.0.1", "address to serve on", metavar="ADDRESS")
    port: int | None = _option(None, f"port to serve on ({DEFAULT_PORT}, or the next free one)", metavar="PORT")
    allowed_host: str | None = _option(
        None, "further names under which the page may be asked for, separated by commas", metavar="NAMES"
    )
    no_browser: bool = _option(False, "do not open a browser")
    debug: bool = _option(False, "show tracebacks and reload on changes; on this machine only")

    def __post_init__(self) -> None:
        check_queue(self.queue)
        for name in ("sample", "top", "batch_size", "workers", "shards"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise LurkError(f"{flag(name)} must be 1 or more, not {value}")
        for name in ("model", "weights", "data", "classes", "cache"):
            if len(getattr(self, name) or "") > LONGEST_NAME:
                raise LurkError(f"{flag(name)} is longer than {LONGEST_NAME} characters")
        if self.port is not None and not 0 <= self.port <= 65535:
            raise LurkError(f"--port must be from 0 to 65535, not {self.port}")
        if self.layers is not None:
            try:
                re.compile(self.layers)
            except re.error as error:
                raise LurkError(f"--layers {self.layers!r} is no regular expression: {error}") from error

    @property
    def study(self) -> str:
        """Name of the study: the same for the same model, weights, images and layers."""
        given = (self.model, self.weights, self.data, self.classes, self.sample, self.layers, self.top)
        plain = f"{_plain(self.model)}-{_plain(self.data)}"
        identity = self._identity()
        usual = all(identity[name] == _plain(getattr(self, name)) for name in ("model", "data"))
        usual = usual and set(given[3:6]) == {None}
        if usual and self.weights is None and self.top == Settings.top:
            return plain
        return f"{plain}-{digest(self._identity())[:6]}"

    def _identity(self) -> dict[str, Any]:
        """What makes the study what it is; paths made absolute."""
        names = ("model", "weights", "data", "classes", "sample", "layers", "top")
        return {name: _absolute(name, getattr(self, name)) for name in names}

    def sweep_spec(self) -> JobSpec:
        """The job that sweeps this study."""
        more = {"batch_size": self.batch_size, "workers": self.workers, "device": self.device}
        if self.shards > 1:
            more["shards"] = self.shards
        return JobSpec("sweep", self.study, tuple((self._identity() | more).items()))

    @classmethod
    def from_spec(cls, spec: JobSpec, cache: Path) -> "Settings":
        """The settings that a sweep's spec was made from, for the worker."""
        known = {item.name for item in fields(cls)}
        values = {name: value for name, value in spec.parameters if name in known}
        return cls(**{**values, "cache": str(cache)})  # type: ignore[arg-type]  # a spec is made by `sweep_spec`


def flag(name: str) -> str:
    """The command-line flag of an option."""
    return "--" + name.replace("_", "-")


def add_options(parser: argparse.ArgumentParser, names: tuple[str, ...]) -> None:
    """Add flags for the options of these names to a parser."""
    for item in fields(Settings):
        if item.name in names:
            shown = "" if item.default in (None, False) else f" (default: {item.default})"
            help_ = (item.metadata["help"] + shown).replace("%", "%%")
            if item.type is bool:
                parser.add_argument(flag(item.name), action="store_true", default=None, help=help_)
            else:
                kind = int if "int" in str(item.type) else str
                parser.add_argument(flag(item.name), type=kind, metavar=item.metadata["metavar"], help=help_)


def settings_from(given: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> Settings:
    """Settings from flags and, where a flag is not given, from the environment.

    Args:
        given: Values of flags by option name; None where not given.
        environment: The environment variables.

    Returns:
        The settings.

    Raises:
        LurkError: A value is not of the option's type or range.
    """
    values: dict[str, Any] = {}
    for item in fields(Settings):
        value = given.get(item.name)
        text = environment.get("LURK_" + item.name.upper())
        if value is None and text:
            value = _parse(item.name, str(item.type), text)
        if value is not None:
            values[item.name] = value
    return Settings(**values)


def _parse(name: str, kind: str, text: str) -> str | int | bool:
    if "bool" in kind:
        return text.lower() in {"1", "true", "yes", "on"}
    if "int" not in kind:
        return text
    try:
        return int(text)
    except ValueError as error:
        raise LurkError(f"LURK_{name.upper()} must be a whole number, not {text!r}") from error


def _plain(text: str) -> str:
    """A name for addresses and files: the last part of a path, with letters, digits, `_`, `.` and `-` only."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", Path(text).name).strip("-.")
    return name or "study"


def _absolute(name: str, value: Any) -> Any:
    """A path made absolute, so that it means the same from any folder; anything else as it is."""
    if not isinstance(value, str) or (name, value) == ("data", "demo"):
        return value
    path, colon, rest = value.partition(":") if name == "model" else (value, "", "")
    is_path = {
        "model": path.endswith(".py"),
        "weights": path.endswith((".pth", ".pt", ".safetensors")),
        "data": not value[:1].isupper() or Path(path).exists(),  # else the name of a data set, such as CIFAR10
        "classes": True,
    }
    return str(Path(path).expanduser().resolve()) + colon + rest if is_path.get(name) else value
