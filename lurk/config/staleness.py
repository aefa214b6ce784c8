"""Whether an index was made with what a study now says: the same options, and files that have not changed since.

What the web process can see without loading anything: the options, and the times of the files that they name. That
weights and images are the same to the last byte only a sweep finds out.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lurk.config.settings import Settings

MOST_FOLDERS = 2_000
WORDS = {
    "data": "images",
    "classes": "class names",
    "sample": "sample of the images",
    "top": "number of top images",
}


def made_with(settings: Settings) -> dict[str, Any]:
    """What an index is made with, as JSON: the options, and the stamp of each file that they name.

    Args:
        settings: The options of the study.

    Returns:
        `options` and `files`, to be compared by `differences`.
    """
    options = settings.identity
    return {"options": options, "files": {name: _stamp(path) for name, path in _files(options).items()}}


def differences(then: Mapping[str, Any], settings: Settings) -> tuple[str, ...]:
    """What is not as it was when an index was made.

    Args:
        then: What `made_with` gave.
        settings: The options of the study now.

    Returns:
        What differs, in words: `other weights`, `the images have changed`; nothing where an old index does not say.
    """
    before, now = then.get("options"), made_with(settings)
    if not isinstance(before, Mapping):
        return ()
    options, files = now["options"], then.get("files")
    found = [f"other {WORDS.get(name, name)}" for name in options if before.get(name) != options[name]]
    for name, stamp in now["files"].items():
        if before.get(name) == options[name] and isinstance(files, Mapping) and files.get(name) != stamp:
            word = {"data": "images have", "classes": "class names have", "weights": "weights have"}.get(name)
            found.append(f"the {word or 'model has'} changed since")
    return tuple(found)


def _files(options: Mapping[str, Any]) -> dict[str, Path]:
    """The files and folders that options name."""
    paths = {name: options.get(name) for name in ("weights", "data", "classes")}
    paths["model"] = str(options.get("model")).rpartition(":")[0]
    return {name: Path(path) for name, path in paths.items() if path and Path(path).is_absolute()}


def _stamp(path: Path) -> list[int]:
    """What changes when a file is written, or when a file comes or goes in a folder or in one right below it."""
    try:
        found = path.stat()
        if not path.is_dir():
            return [found.st_mtime_ns, found.st_size]
        latest, count = found.st_mtime_ns, 0
        with os.scandir(path) as entries:
            for entry in entries:
                if count < MOST_FOLDERS and entry.is_dir():
                    count += 1
                    latest = max(latest, entry.stat().st_mtime_ns)
        return [latest, count]
    except OSError:
        return []
