"""Where an index lies below the cache directory, and what it says about itself.

Only this module, `index` and `index_writer` know of these files:

    <cache>/studies/<study>.json              which index a study shows
    <cache>/index/<key>/manifest.json         format, provenance, layers, classes, how far the sweep is
    <cache>/index/<key>/images.jsonl          a line [path, label] an image; images_at.npy says where each line begins
    <cache>/index/<key>/generation-<n>/*.npy  what the reducers have seen after checkpoint n, units first
    <cache>/index/<key>/views/<a>/<image>.webp the preprocessed view of every hit image
    <cache>/index/<key>/shards/<name>/        manifest.json and generations of a shard, until all are merged
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from lurk.errors import CacheError, IndexFormatError
from lurk.records import LayerInfo, Provenance

FORMAT = 4


def index_folder(cache: Path, key: str) -> Path:
    """Folder of the index with that key."""
    return cache / "index" / key


def study_file(cache: Path, study: str) -> Path:
    """File that says which index a study shows."""
    return cache / "studies" / f"{study}.json"


def generation_folder(folder: Path, generation: int) -> Path:
    """Folder of a checkpoint's arrays, below the index's folder."""
    return folder / f"generation-{generation:06d}"


def study_index(cache: Path, study: str) -> Path | None:
    """Folder of the index that a study shows, None until its first sweep begins."""
    key = _study(cache, study).get("index")
    folder = index_folder(cache, str(key))
    return folder if key and (folder / "manifest.json").is_file() else None


def study_made_with(cache: Path, study: str) -> dict[str, Any]:
    """What the index that a study shows was made with, from `staleness.made_with`; empty if that is not known."""
    found = _study(cache, study).get("made_with")
    return found if isinstance(found, dict) else {}


def _study(cache: Path, study: str) -> dict[str, Any]:
    try:
        found = json.loads(study_file(cache, study).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


@dataclass(frozen=True)
class Manifest:
    """What an index says about itself.

    Args:
        provenance: Where the results come from.
        layers: The layers, in the order of the forward pass.
        classes: Class names, None if the image set has no classes.
        class_note: Why there are no classes; empty otherwise.
        image_set: Name of the image set.
        images: Number of images in the set.
        input_shape: (channels, rows, columns) of the preprocessed input.
        top: Length of the top lists.
        notice: What everybody must see, such as that the weights are untrained; empty otherwise.
        generation: Number of the last checkpoint, 0 before the first.
        done: Images dealt with, skipped ones included.
        complete: Whether the sweep has ended.
        skipped: (image, path, reason) of every image that could not be used.
        channels: Number of channels of a view, 3 for colours.
        outputs: Names of the network's outputs, None if they are not known.
        notes: What was understood of what the user gave, a sentence each.
        shards: Number of unfinished shards that an unfinished index was merged from; 1 for the index of one worker.
    """

    provenance: Provenance
    layers: tuple[LayerInfo, ...]
    classes: tuple[str, ...] | None
    class_note: str
    image_set: str
    images: int
    input_shape: tuple[int, int, int]
    top: int
    notice: str = ""
    generation: int = 0
    done: int = 0
    complete: bool = False
    skipped: tuple[tuple[int, str, str], ...] = ()
    shards: int = 1
    channels: int = 3
    outputs: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()


def read_manifest(folder: Path) -> Manifest:
    """Read a manifest.

    Args:
        folder: Folder of the index.

    Returns:
        The manifest.

    Raises:
        IndexFormatError: There is none, or it is damaged or of another format version.
        CacheError: There is one, and it cannot be read now.
    """
    try:
        value = orjson.loads((folder / "manifest.json").read_bytes())
        if value.pop("format") != FORMAT:
            raise IndexFormatError(f"{folder} was written by another version of lurk; sweep again to replace it")
        return Manifest(**_frozen(value))
    except FileNotFoundError as error:
        raise IndexFormatError(f"{folder} holds no index; sweep again to make one") from error
    except OSError as error:
        raise CacheError(f"{folder} cannot be read: {error.strerror}") from error
    except IndexFormatError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise IndexFormatError(f"{folder} holds no readable index ({error}); sweep again to replace it") from error


def _frozen(value: dict[str, Any]) -> dict[str, Any]:
    provenance = {name: _tuples(part) for name, part in value["provenance"].items()}
    layers = tuple(LayerInfo(**{name: _tuples(part) for name, part in layer.items()}) for layer in value["layers"])
    rest = {name: _tuples(part) for name, part in value.items()}
    return rest | {"provenance": Provenance(**provenance), "layers": layers}


def _tuples(value: Any) -> Any:
    return tuple(_tuples(part) for part in value) if isinstance(value, list) else value


def shard_folder(folder: Path, name: str) -> Path:
    """Folder of a shard's checkpoints, below the index's folder."""
    return folder / "shards" / name


def view_file(folder: Path, image: int) -> Path:
    """WebP file of the preprocessed view of an image, below the index's folder."""
    return folder / "views" / f"{image % 256:02x}" / f"{image}.webp"
