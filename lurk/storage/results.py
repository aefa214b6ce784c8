"""Results of methods on disk: each in a folder of its own below its index, named by its provenance. Torch-free.

    <cache>/index/<key>/methods.json                        what each method offers for the model
    <cache>/index/<key>/results/<aa>/<result>/result.json   provenance and figures
    <cache>/index/<key>/results/<aa>/<result>/<file>        pictures as WebP, maps as .npy

A result appears whole or not at all. A damaged one counts as missing, and is made anew.
"""

import io
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lurk.errors import CacheError
from lurk.method_spec import MethodSpec
from lurk.records import Provenance
from lurk.storage.atomic_files import replace_folder, write_file
from lurk.storage.npy_file import Array

FORMAT = 1
OFFERS = "methods.json"


@dataclass(frozen=True)
class Result:
    """A result as it lies on the disk.

    Args:
        folder: Where its files lie.
        provenance: Where it comes from, as JSON values.
        figures: What was measured with it, as JSON values.
    """

    folder: Path
    provenance: Mapping[str, Any]
    figures: Mapping[str, Any]

    def read(self, name: str) -> bytes:
        """Content of one of its files; an OSError if it has no file of that name."""
        return (self.folder / name).read_bytes()

    def array(self, name: str) -> Array:
        """One of its arrays; an OSError or ValueError if it cannot be read."""
        loaded: Array = np.load(self.folder / f"{name}.npy", allow_pickle=False)
        return loaded


def result_folder(index: Path, key: str) -> Path:
    """Folder of the result of that key, below its index's folder."""
    return index / "results" / key[:2] / key


def read_result(index: Path, key: str) -> Result | None:
    """Read a result; returns None if there is none, or if it is damaged.

    Args:
        index: Folder of the index.
        key: Key of the result's provenance.

    Returns:
        The result.
    """
    folder = result_folder(index, key)
    try:
        value = json.loads((folder / "result.json").read_text())
        if value["format"] != FORMAT or any((folder / name).stat().st_size != n for name, n in value["files"].items()):
            return None
        return Result(folder, value["provenance"], value["figures"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_result(index: Path, provenance: Provenance, figures: Mapping[str, Any], files: Mapping[str, bytes]) -> str:
    """Write a result, unless there is a whole one already.

    Args:
        index: Folder of the index.
        provenance: Where it comes from.
        figures: What was measured with it: JSON values without NaN and infinity.
        files: Content of its files by name.

    Returns:
        Its key.

    Raises:
        CacheError: It cannot be written.
    """
    key = provenance.key
    folder = result_folder(index, key)
    sizes = {name: len(content) for name, content in files.items()}
    head = {"format": FORMAT, "provenance": asdict(provenance), "figures": dict(figures), "files": sizes}
    text = json.dumps(head, allow_nan=False)
    try:
        with replace_folder(folder, lambda: read_result(index, key) is not None) as new:
            for name, content in {**files, "result.json": text.encode()}.items():
                write_file(new / name, content)
    except OSError as error:
        reason = f"cannot write to the cache: {error.strerror or error}"
        raise CacheError(f"{reason}; make room or choose another with --cache") from error
    return key


def to_npy(array: Array) -> bytes:
    """Content of an .npy file."""
    out = io.BytesIO()
    np.save(out, array, allow_pickle=False)
    return out.getvalue()


def publish_offers(index: Path, offers: Sequence[MethodSpec]) -> None:
    """Write down what each method offers for an index's model."""
    value = {"format": FORMAT, "methods": [offer.to_json() for offer in offers]}
    write_file(index / OFFERS, json.dumps(value))


def read_offers(index: Path) -> list[MethodSpec]:
    """What each method offers for an index's model; empty if that is not known."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        value = json.loads((index / OFFERS).read_text())
        if value["format"] == FORMAT:
            return [MethodSpec.from_json(offer) for offer in value["methods"]]
    return []
