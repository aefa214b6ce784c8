"""Whether an index was made with the options that its study has now, and with files that have not changed since.

The web process checks this without loading anything: it compares the options, and the times and sizes of the files that
they name. Only a sweep hashes the weights and looks at each image file.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lurk.config.model_name import is_network_file
from lurk.config.options import Settings
from lurk.config.weights_name import split_weights

MOST_SUBFOLDERS = 2_000
WORDS = {
    "data": "images",
    "classes": "class names",
    "label_column": "column of the classes",
    "sample_range": "range of samples",
    "sample": "sample of the images",
    "top": "number of top images",
}


def made_with(settings: Settings) -> dict[str, Any]:
    """What an index is made with, as JSON: the options, and the time and size of each file that they name.

    Args:
        settings: The options of the study.

    Returns:
        `options` and `files`, which `differences` compares.
    """
    options = settings.identity
    return {"options": options, "files": {name: _stamp(path) for name, path in _files(options).items()}}


def differences(made: Mapping[str, Any], settings: Settings) -> tuple[str, ...]:
    """What has changed since an index was made.

    Args:
        made: What `made_with` returned when the index was made.
        settings: The options of the study now.

    Returns:
        The differences in words, such as `other weights` or `the images have changed since`; none for an old index
        that does not hold what it was made with.
    """
    before, now = made.get("options"), made_with(settings)
    if not isinstance(before, Mapping):
        return ()
    options, files = now["options"], made.get("files")
    found = [f"other {WORDS.get(name, name)}" for name in options if before.get(name) != options[name]]
    for name, stamp in now["files"].items():
        if before.get(name) == options[name] and isinstance(files, Mapping) and files.get(name) != stamp:
            word = {"data": "images have", "classes": "class names have", "weights": "weights have"}.get(name)
            found.append(f"the {word or 'model has'} changed since")
    return tuple(found)


def _files(options: Mapping[str, Any]) -> dict[str, Path]:
    """The files and folders that options name, by option."""
    paths = {"weights": split_weights(options.get("weights") or "")[0]}
    paths |= {name: options.get(name) or "" for name in ("data", "classes")}
    model = str(options.get("model"))
    paths["model"] = model if is_network_file(model) else model.rpartition(":")[0]
    return {name: Path(path) for name, path in paths.items() if path and Path(path).is_absolute()}


def _stamp(path: Path) -> list[int]:
    """Time and size of a file; of a folder, the latest time of it and its sub-folders, and their number."""
    try:
        found = path.stat()
        if not path.is_dir():
            return [found.st_mtime_ns, found.st_size]
        latest, count = found.st_mtime_ns, 0
        with os.scandir(path) as entries:
            for entry in entries:
                if count < MOST_SUBFOLDERS and entry.is_dir():
                    count += 1
                    latest = max(latest, entry.stat().st_mtime_ns)
        return [latest, count]
    except OSError:
        return []
