"""`visualize`: draws pictures of units, or maps of what they saw, into a folder, with their provenance as JSON."""

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from lurk.commands import STUDY, command
from lurk.config.options import Settings
from lurk.errors import LurkError
from lurk.method_spec import MethodSpec
from lurk.service.colormaps import MODES, colour_map
from lurk.service.unit_words import unit_name
from lurk.storage.histogram import share_below
from lurk.storage.index import Index
from lurk.storage.manifest import study_index
from lurk.storage.webp import encode_png, to_view
from lurk.worker.memory import keep_freed_memory

if TYPE_CHECKING:
    import numpy as np

    from lurk.models.model import Model

MOST_UNITS = 1_000_000
ARGUMENTS: dict[str, dict[str, Any]] = {
    "--list": {"action": "store_true", "help": "list the methods with their options, and end"},
    "--method": {"default": "gradient_ascent", "metavar": "NAME", "help": "the method (default: gradient_ascent)"},
    "--layer": {"default": "", "metavar": "NAME", "help": "the layer"},
    "--units": {"default": "0", "metavar": "N", "help": "unit or class numbers, such as 0-15,20 (default: 0)"},
    "--option": {"action": "append", "default": [], "metavar": "NAME=VALUE", "help": "an option of the method"},
    "--image": {"action": "append", "default": [], "metavar": "FILE", "help": "an image, if the method needs one"},
    "--target": {"default": "maximum", "metavar": "WHAT", "help": "what a map explains: maximum, map or class"},
    "--mode": {"default": "signs", "metavar": "NAME", "help": "drawn as raw, grey, norm, blurred or signs"},
    "--out": {"default": "pictures", "metavar": "DIR", "help": "folder for the pictures (default: pictures)"},
}
Record = dict[str, Any]


@command("draw what units want to see, or what they saw in an image, into a folder", STUDY, arguments=ARGUMENTS)
def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Draw into a folder, with a progress bar on a terminal."""
    keep_freed_memory()
    from lurk.methods import METHODS
    from lurk.methods.run_method import plan_with
    from lurk.worker.model_cache import cached_model

    if arguments.list:
        for name in METHODS:
            _describe(METHODS[name].spec)
        return 0
    spec = METHODS[arguments.method].spec
    if "layer" in spec.needs and not arguments.layer:
        raise LurkError(f"{spec.name} needs a layer; name one with --layer")
    options = spec.read(dict(_pair(text) for text in arguments.option))
    units = numbers(arguments.units)
    out = _folder(arguments.out)
    model = cached_model(settings)
    notes = [*filter(None, (*model.notes, plan_with(model, arguments.layer).scores.note))]
    for words in filter(None, (model.notice, *notes)):
        print(f"lurk: {words}", file=sys.stderr)
    drawing = _maps if spec.gives == "map" else _pictures
    records, shared = [], _provenance(model, spec, options) | {"notes": _notes(settings, notes)}
    for file, content, record in drawing(model, settings, arguments, options, units):
        _write(out / file, content)
        records.append({"file": file, "name": _name(model, record), **record, **shared})
    _write(out / "provenance.json", json.dumps(records, indent=1).encode())
    print(f"{len(records)} pictures: {out}")
    return 0


def _describe(spec: MethodSpec) -> None:
    """Print what a method is and its options."""
    print(f"{spec.name}: {spec.shows} ({spec.paper})")
    for option in spec.options:
        choices = f" ({', '.join(option.choices)})" if option.choices else ""
        print(f"    {option.name}={option.default}: {option.help}{choices}")


def numbers(text: str) -> list[int]:
    """Read numbers and ranges of numbers.

    >>> numbers("0-2,7")
    [0, 1, 2, 7]

    Args:
        text: Numbers and ranges, both ends included, separated by commas.

    Returns:
        The numbers.

    Raises:
        LurkError: The text is not of this form, or a range is empty or too long.
    """
    found: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,9})(?:-(\d{1,9}))?\s*", part, re.ASCII)
        if match is None:
            raise LurkError(f"--units takes numbers and ranges such as 0-15,20, not {text[:40]!r}")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first or last - first >= MOST_UNITS:
            raise LurkError(f"--units {part.strip()}: the range is empty or too long")
        found += range(first, last + 1)
    return found


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise LurkError(f"--option takes NAME=VALUE, not {text[:40]!r}; --list lists the options")
    return name, value


def _folder(path: str) -> Path:
    out = Path(path).expanduser()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LurkError(f"--out {path!r} cannot be made: {error.strerror}") from error
    return out


def _write(file: Path, content: bytes) -> None:
    try:
        file.write_bytes(content)
    except OSError as error:
        raise LurkError(f"{file} cannot be written: {error.strerror}; choose another folder with --out") from error


def _pictures(
    model: "Model", settings: Settings, arguments: argparse.Namespace, options: Mapping[str, Any], units: list[int]
) -> Iterator[tuple[str, bytes, Record]]:
    """Draw pictures; yields file name, content and record of each."""
    from lurk.methods import METHODS
    from lurk.methods.run_method import BATCH, visualize
    from lurk.worker.model_cache import image_set

    needs = METHODS[arguments.method].spec.needs
    images = image_set(settings) if "images" in needs else None
    with tqdm(total=len(units), unit=" pictures", disable=None) as bar:
        for at in range(0, len(units), BATCH):
            part = units[at : at + BATCH]

            def show(done: int, total: int, *_: object, at: int = at, count: int = len(part)) -> None:
                bar.n = round(at + count * done / total, 1)
                bar.refresh()

            drawn = visualize(
                model,
                arguments.layer,
                part,
                method=arguments.method,
                image=arguments.image[0] if arguments.image else None,
                images=images,
                device=settings.device,
                show=show,
                **options,
            )
            each = len(drawn) // len(part)
            owners = [unit for unit in part for _ in range(each)]
            figures = (
                _figures(model, settings, arguments.layer, owners, drawn) if "unit" in needs else [{}] * len(drawn)
            )
            for number, unit in enumerate(owners):
                suffix = f"-{number % each}" if each > 1 else ""
                picture = to_view(drawn[number])
                file = f"{_file_name(arguments.layer or arguments.method)}-{unit}{suffix}.png"
                yield file, encode_png(picture), {"layer": arguments.layer, "unit": unit, **figures[number]}


def _figures(
    model: "Model", settings: Settings, layer: str, units: list[int], drawn: "np.ndarray[Any, Any]"
) -> list[Record]:
    """The values that the unit reaches on each picture, and their percentile in the image set if that was swept."""
    import torch

    from lurk.methods.feature_vis.picture_evaluation import evaluate_pictures
    from lurk.methods.run_method import plan_with

    index, records = _index(settings), []
    evaluated = evaluate_pictures(model, plan_with(model, layer), layer, units, torch.from_numpy(drawn))
    for unit, values in zip(units, evaluated, strict=True):
        share = share_below(index, layer, unit, values.reached_max) if index and _has(index, layer, unit) else None
        records.append(asdict(values) | {"percentile": share})
    return records


def _maps(
    model: "Model", settings: Settings, arguments: argparse.Namespace, options: Mapping[str, Any], units: list[int]
) -> Iterator[tuple[str, bytes, Record]]:
    """Draw maps; yields file name, content and record of each, as a picture and as .npy values."""
    from lurk.methods.run_method import attribute
    from lurk.storage.results import to_npy

    if not arguments.image:
        raise LurkError(f"{arguments.method} needs an image; name one with --image")
    if arguments.mode not in MODES[:-1]:
        raise LurkError(f"--mode is one of {', '.join(MODES[:-1])}, not {arguments.mode[:40]!r}")
    index, layer = _index(settings), arguments.layer
    todo = [(*named, unit) for named in _named(arguments.image) for unit in units]
    for file, stem, unit in tqdm(todo, unit=" maps", disable=None):
        quantiles = index.unit(layer, unit).quantiles if index and _has(index, layer, unit) else None
        values = attribute(
            model,
            file,
            layer,
            unit,
            method=arguments.method,
            target=arguments.target,
            quantiles=quantiles,
            device=settings.device,
            **options,
        )
        name = f"{_file_name(layer)}-{unit}-{arguments.method}-{stem}"
        record = {"layer": layer, "unit": unit, "image": file, "target": arguments.target}
        shown = model.normalisation.in_order(values)
        yield f"{name}.png", encode_png(colour_map(shown, arguments.mode)), record | {"mode": arguments.mode}
        yield f"{name}.npy", to_npy(values), record


def _named(files: list[str]) -> Iterator[tuple[str, str]]:
    """Each file with a name for its maps; of files that are called alike, the second gets a 2."""
    seen = Counter[str]()
    for file in files:
        stem = _file_name(Path(file).stem)
        seen[stem] += 1
        yield file, stem if seen[stem] == 1 else f"{stem}-{seen[stem]}"


def _name(model: "Model", record: Record) -> str:
    """What the unit of a record is called: `unit 3`, or `class tench` for a class."""
    from lurk.methods.run_method import plan_with

    unit = int(record["unit"])
    found = [info for info in plan_with(model, record["layer"]).layers if info.name == record["layer"]]
    if found:
        return unit_name(found[0], unit, model.classes)
    return f"class {model.classes[unit] if model.classes and unit < len(model.classes) else unit}"


def _index(settings: Settings) -> Index | None:
    """The study's index, or None before its first sweep."""
    folder = study_index(Path(settings.cache), settings.study)
    return None if folder is None else Index(folder)


def _notes(settings: Settings, of_model: list[str]) -> list[str]:
    """What was understood of what the user gave: of the model, and of the images if the study was swept."""
    index = _index(settings)
    of_study = () if index is None else (*index.manifest.notes, index.manifest.class_note)
    return list(dict.fromkeys(note for note in (*of_model, *of_study) if note))


def _has(index: Index, layer: str, unit: int) -> bool:
    return any(info.name == layer and unit < info.units for info in index.layers)


def _file_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-.") or "picture"


def _provenance(model: "Model", spec: MethodSpec, options: Mapping[str, Any]) -> Record:
    """Where a picture comes from, under the names of `Provenance`."""
    from lurk.records import software

    return {
        "model": model.full_source,
        "weights": model.weights,
        "weight_hash": model.weight_hash,
        "notice": model.notice,
        "preprocessing": model.preprocessing,
        "method": spec.name,
        "method_version": spec.version,
        "parameters": dict(options),
        "software": dict(software()),
    }
