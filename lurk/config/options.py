"""All options with their defaults and help texts; the command line, the environment and the README's table use these.

An option `batch_size` is the flag `--batch-size` and the environment variable `LURK_BATCH_SIZE`; a flag wins.
"""

import argparse
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from lurk.config.logs import MODES
from lurk.config.model_name import is_network_file
from lurk.config.queue_address import check_queue
from lurk.config.weights_name import is_weights_file, split_weights
from lurk.errors import LurkError
from lurk.records import JobSpec, digest

DEFAULT_PORT = 8050
LONGEST_NAME = 1000
LONGEST_STUDY = 80
STUDY_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_.-]{{0,{LONGEST_STUDY - 1}}}")
PATH_PART = re.compile(r"(?!\.\.?$)[A-Za-z0-9_.~-]{1,100}")
OWN_PATHS = (
    *("api", "assets", "healthz", "jobs", "login", "login.css", "logout", "media", "metrics", "preview", "readyz"),
    *("s", "static", "vendor"),
)
STUDY_OPTIONS = (
    *(
        "name",
        "model",
        "weights",
        "output",
        "data",
        "classes",
        "label_column",
        "sample_range",
        "sample",
        "layers",
        "top",
    ),
    *("batch_size", "workers", "device"),
)
IDENTITY = ("model", "weights", "output", "data", "classes", "label_column", "sample_range", "sample", "layers", "top")


def _option(default: Any, help_: str, *, metavar: str | None = None, least: int | None = None) -> Any:
    return field(default=default, metadata={"help": help_, "metavar": metavar, "least": least})


@dataclass(frozen=True)
class Settings:
    """The options of a run."""

    model: str = _option(
        "efficientnet_lite0",
        "the model: efficientnet_lite0, a torchvision classification network, timm/NAME, hf/FOLDER, "
        "package.module:factory, file.py:factory, or a file of torch.jit.save or torch.export.save",
        metavar="NAME",
    )
    weights: str | None = _option(
        None,
        "its weights: DEFAULT, a torchvision weights name, random, a file of weights, or FILE:PART if the file holds "
        "several networks",
        metavar="WHAT",
    )
    output: str | None = _option(
        None,
        "which of the model's outputs holds the class scores, by name or number, if it has several",
        metavar="NAME|NUMBER",
    )
    data: str = _option(
        "demo",
        "the images: demo, a folder with a sub-folder per class, a flat folder, a .csv or .txt list, or a torchvision "
        "data set name",
        metavar="WHERE",
    )
    classes: str | None = _option(None, "file that maps folder names to class names", metavar="FILE")
    label_column: str | None = _option(
        None, "column of a list that holds the classes: its title, or its number from 1", metavar="NAME"
    )
    sample_range: str | None = _option(
        None,
        "samples of 16-bit or float files that are shown black and white, such as 0:4095 (found in the files)",
        metavar="LOW:HIGH",
    )
    sample: int | None = _option(
        None, "take only so many images a class, the same ones each time", metavar="N", least=1
    )
    layers: str | None = _option(None, "regular expression that narrows or widens the layers", metavar="REGEX")
    top: int = _option(9, "images kept for each unit", metavar="K", least=1)
    name: str | None = _option(None, "what the study is called in addresses (made of model and data)", metavar="NAME")
    config: str | None = _option(None, "file that lists several studies, such as lurk.toml", metavar="FILE")
    batch_size: int | None = _option(None, "images a forward pass (16 on a CPU, 128 on a GPU)", metavar="N", least=1)
    workers: int | None = _option(None, "threads that read images (one a core, at most 8)", metavar="N", least=1)
    device: str = _option("auto", "where the model runs: auto, cpu, cuda, cuda:1, mps", metavar="NAME")
    memory: int | None = _option(
        None,
        "memory for the models that a worker keeps loaded, in MB (a quarter of the machine's)",
        metavar="MB",
        least=1,
    )
    shards: int = _option(1, "pieces that a sweep is cut into, for several workers", metavar="N")
    queue: str = _option(
        "local",
        "where jobs wait: local, or a Redis that several machines share, redis://:PASSWORD@HOST:6379/0",
        metavar="WHERE",
    )
    keep_images: int = _option(
        0,
        "megabytes of disk for preprocessed images, so that a second model, a picture or a map need not decode them "
        "(none)",
        metavar="MB",
        least=0,
    )
    cache: str = _option("cache", "folder for results", metavar="DIR")
    host: str = _option("127.0.0.1", "address to serve on", metavar="ADDRESS")
    port: int | None = _option(None, f"port to serve on ({DEFAULT_PORT}, or the next free one)", metavar="PORT")
    path_prefix: str | None = _option(None, "path under which a proxy shows the page, such as /lurk", metavar="PATH")
    allowed_host: str | None = _option(
        None, "further names under which the page may be asked for, separated by commas", metavar="NAMES"
    )
    auth: str | None = _option(
        None,
        "who is let in: none (this machine only), token, password:FILE, or header:NAME@PROXY-ADDRESSES",
        metavar="WAY",
    )
    admins: str | None = _option(
        None, "with --auth header: names of who sees and cancels all jobs, separated by commas", metavar="NAMES"
    )
    queue_limit: int = _option(2000, "jobs that may wait in all", metavar="N", least=1)
    queue_limit_person: int = _option(500, "jobs of one person that may wait", metavar="N", least=1)
    min_free: int = _option(200, "megabytes that must be free on the cache's disk for new work", metavar="MB", least=0)
    stuck_after: int = _option(
        600,
        "seconds without progress after which a job is ended and tried again, three times as many for a sweep",
        metavar="S",
        least=1,
    )
    web_workers: int = _option(2, "processes that answer requests", metavar="N", least=1)
    log: str = _option(
        "quiet", "what is written to standard error: quiet (warnings), text or json (every event)", metavar="HOW"
    )
    no_browser: bool = _option(False, "do not open a browser")
    debug: bool = _option(False, "show tracebacks and reload on changes; on this machine only")

    def __post_init__(self) -> None:
        check_queue(self.queue)
        for item in fields(self):
            value, least = getattr(self, item.name), item.metadata["least"]
            if None not in (value, least) and value < least:
                raise LurkError(f"{flag(item.name)} must be {least} or more, not {value}")
        for name in ("model", "weights", "output", "data", "classes", "cache"):
            if len(getattr(self, name) or "") > LONGEST_NAME:
                raise LurkError(f"{flag(name)} is longer than {LONGEST_NAME} characters")
        if self.name is not None and not STUDY_NAME.fullmatch(self.name):  # it goes into addresses and file names
            raise LurkError(
                f"--name must be 1 to {LONGEST_STUDY} letters, digits, '_', '.' and '-', and begin with a letter or a "
                f"digit, not {self.name[:LONGEST_STUDY]!r}"
            )
        if self.port is not None and not 0 <= self.port <= 65535:
            raise LurkError(f"--port must be from 0 to 65535, not {self.port}")
        if self.log not in MODES:
            raise LurkError(f"--log must be one of {', '.join(MODES)}, not {self.log!r}")
        object.__setattr__(self, "path_prefix", _path_prefix(self.path_prefix or "") or None)
        _check_expression(self.layers)

    @property
    def study(self) -> str:
        """Name of the study; by default made of model and data, with a hash if a path or another option is given."""
        if self.name is not None:
            return self.name
        plain = {"model": _file_name(self.model), "data": _file_name(self.data)}
        name = f"{plain['model']}-{plain['data']}"
        if self.identity == Settings().identity | plain:
            return name
        return f"{name[: LONGEST_STUDY - 7]}-{digest(self.identity)[:6]}"

    @property
    def identity(self) -> dict[str, Any]:
        """The options that determine the results of the study, with absolute paths."""
        return {name: _absolute(name, getattr(self, name)) for name in IDENTITY}

    def sweep_spec(self) -> JobSpec:
        """The job that sweeps this study."""
        more = {"batch_size": self.batch_size, "workers": self.workers, "device": self.device}
        if self.shards > 1:
            more["shards"] = self.shards
        return JobSpec("sweep", self.study, tuple((self.identity | more).items()))

    @classmethod
    def from_spec(cls, spec: JobSpec, cache: Path) -> "Settings":
        """The settings from which a sweep's spec was made; a worker gets only the spec."""
        known = {item.name for item in fields(cls)}
        values = {name: value for name, value in spec.parameters if name in known}
        values |= {"cache": str(cache), "keep_images": settings_from({}).keep_images}  # one store for all studies
        settings = cls(**values)  # type: ignore[arg-type]  # a spec is made by `sweep_spec`
        has_name = settings.study != spec.study and STUDY_NAME.fullmatch(spec.study)
        return replace(settings, name=spec.study) if has_name else settings


def _path_prefix(given: str) -> str:
    """A path prefix with a slash before it and none behind it; empty for none."""
    path = given.strip("/")
    if path and not all(PATH_PART.fullmatch(part) for part in path.split("/")):
        raise LurkError(
            f"--path-prefix is a path such as /lurk or /tools/lurk, of letters, digits, '_', '.', '~' and '-', not "
            f"{given[:LONGEST_STUDY]!r}"
        )
    if path.partition("/")[0] in OWN_PATHS or path.startswith("_"):
        raise LurkError(
            f"--path-prefix {given[:LONGEST_STUDY]!r} begins like an address of the page's own; choose another, such "
            "as /lurk"
        )
    return f"/{path}" if path else ""


def _check_expression(layers: str | None) -> None:
    try:
        re.compile(layers or "")
    except re.error as error:
        raise LurkError(f"--layers {layers!r} is no regular expression: {error}") from error


def flag(name: str) -> str:
    """The command-line flag of an option."""
    return "--" + name.replace("_", "-")


def add_options(parser: argparse.ArgumentParser, names: tuple[str, ...]) -> None:
    """Add flags for the options of these names to a parser."""
    for item in fields(Settings):
        if item.name in names:
            default = "" if item.default in (None, False) else f" (default: {item.default})"
            help_ = (item.metadata["help"] + default).replace("%", "%%")
            if item.type is bool:
                parser.add_argument(flag(item.name), action="store_true", default=None, help=help_)
            else:
                kind = int if "int" in str(item.type) else str
                parser.add_argument(flag(item.name), type=kind, metavar=item.metadata["metavar"], help=help_)


def settings_from(
    flags: Mapping[str, Any],
    environment: Mapping[str, str] = os.environ,
    config: Mapping[str, str | int | float | bool] | None = None,
) -> Settings:
    """Settings from flags, the environment and `lurk.toml`; the first that has a value for an option wins.

    Args:
        flags: Values of flags by option name; None for a flag that was not given.
        environment: The environment variables.
        config: Values of the file's `[server]` by option name.

    Returns:
        The settings.

    Raises:
        LurkError: A value is not of the option's type or range.
    """
    values: dict[str, Any] = {}
    for item in fields(Settings):
        value = flags.get(item.name)
        text = environment.get(variable(item.name))
        if value is None and text:
            value = _parse(item.name, str(item.type), text)
        if value is None and config:
            value = config.get(item.name)
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
        raise LurkError(f"{variable(name)} must be a whole number, not {text!r}") from error


def pass_to_workers(settings: Settings) -> None:
    """Put the options of workers into the environment, for the workers that this process starts."""
    if settings.memory is not None:
        os.environ[variable("memory")] = str(settings.memory)
    os.environ[variable("keep_images")] = str(settings.keep_images)


def _file_name(text: str) -> str:
    """The last part of a path or name, with letters, digits, `_`, `.` and `-` only."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", Path(text).name).strip("-.")
    return name or "study"


def variable(name: str) -> str:
    """The environment variable of an option."""
    return "LURK_" + name.upper()


def _absolute(name: str, value: Any) -> Any:
    """The value of an option; if it is a path, absolute, so that it means the same from any folder."""
    if not isinstance(value, str) or (name, value) == ("data", "demo"):
        return value
    path, colon, rest = value.partition(":") if name == "model" else (value, "", "")
    if name == "weights":
        path, rest = split_weights(value)
        colon = ":" if rest else ""
    is_path = {
        "model": path.endswith(".py") or is_network_file(value),
        "weights": is_weights_file(value),
        "data": not value[:1].isupper()
        or Path(path).exists(),  # otherwise it is the name of a data set, such as CIFAR10
        "classes": True,
    }
    if not is_path.get(name):
        return value
    return os.path.realpath(os.path.expanduser(path)) + colon + rest  # noqa: PTH111 - a Path raises for a loop of links
