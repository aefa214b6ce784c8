"""Makes an image set of a torch data set; needs torch only if an item is a tensor."""

import hashlib
import re
from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from PIL import Image

from lurk.errors import ImagesError, ModelError
from lurk.images.class_names import name_outputs
from lurk.images.decoding import DAMAGE, Header, samples_of, to_rgb
from lurk.images.deep_samples import SampleRange, Samples, shown
from lurk.images.image_files import stamp
from lurk.images.image_set import ImageSet
from lurk.images.labels import Labels, number_labels

IMAGE_KEYS, LABEL_KEYS = ("image", "img", "pixel_values"), ("label", "labels", "target", "fine_label")
NAME_ATTRIBUTES = ("classes", "class_to_idx", "class_names", "idx_to_class")
LABEL_ATTRIBUTES = ("targets", "labels", "_labels", "y")
PROBES = 16
MOST_HEADERS = 100
READ_WHOLE = 10_000
UNLABELLED = "the data set has no labels, so its images have no classes"


class Dataset(Protocol):
    """What a data set must have: a length, and items by number."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int) -> object: ...


def from_dataset(source: object, name: str = "") -> ImageSet:
    """Make an image set of a torch data set, or of anything else with a length and items by number.

    Args:
        source: The data set. Its items are pictures, (picture, label, …), or mappings with an image and a label; a
            picture is a PIL image, a uint8 array or tensor, or a float tensor (c, h, w), already preprocessed.
        name: Name of the image set; by default that of the data set's class.

    Returns:
        The image set, in the data set's order.

    Raises:
        ImagesError: The source has no length or no items.
    """
    if not hasattr(source, "__getitem__") or not isinstance(source, Sized) or isinstance(source, (Mapping, bytes)):
        kind = type(source).__name__
        raise ImagesError(f"an image set is a path or a data set with a length and items by number, not {kind}")
    dataset, count = cast(Dataset, source), len(source)
    if not count:
        raise ImagesError(f"the data set {type(source).__name__} is empty")
    labels = _labels(dataset, count)
    width = len(str(count - 1))
    files = _files(source, count)
    paths = [path for path, _ in files] if files else [f"{number:0{width}}" for number in range(count)]
    stamps = tuple(mark for _, mark in files) if files else _stamps(dataset, count)
    return ImageSet(
        name or type(source).__name__,
        tuple(paths),
        labels.numbers,
        labels.names,
        DatasetReader(dataset),
        stamps,
        tuple(range(count)),
        UNLABELLED if labels.names is None else "",
        labels.notes,
        root=_root(source).absolute() if files else None,
    )


def _item(dataset: Dataset, number: int) -> tuple[object, object]:
    """Picture and label of an item."""
    item = dataset[number]
    if isinstance(item, Mapping):
        picture = next((item[key] for key in IMAGE_KEYS if key in item), None)
        return picture, next((item[key] for key in LABEL_KEYS if key in item), None)
    if isinstance(item, (tuple, list)) and item:
        return item[0], item[1] if len(item) > 1 else None
    return item, None


@dataclass(frozen=True)
class DatasetReader:
    """Reads the items of a data set.

    Args:
        dataset: The data set.
        ranges: Which samples of more than 8 bits are black and white; None to find it in each picture.
    """

    dataset: Dataset
    ranges: tuple[SampleRange, ...] | None = None

    def __call__(self, place: int) -> object:
        """Read an item: a picture of mode RGB, or the float tensor as it is."""
        picture = _picture(self.dataset, place)
        if isinstance(picture, Image.Image):
            return to_rgb(picture, self.ranges)
        return shown(picture, self.ranges) if isinstance(picture, np.ndarray) else picture

    @property
    def most_headers(self) -> int:
        """How many items are looked at to find the ranges: none if the first has 8 bits or is preprocessed."""
        try:
            return MOST_HEADERS if self.deep_samples(0) is not None else 0
        except ImagesError:
            return 0

    def header(self, place: int) -> Header:
        """Whether an item has samples of more than 8 bits."""
        return Header(self.deep_samples(place) is not None, has_more=False)

    def deep_samples(self, place: int) -> Samples | None:
        """Samples of an item that has more than 8 bits; None if it has 8, or is preprocessed."""
        picture = _picture(self.dataset, place)
        if isinstance(picture, Image.Image):
            return None if picture.mode[0] not in "IF" else samples_of(picture)
        return picture if isinstance(picture, np.ndarray) else None

    def with_ranges(self, ranges: tuple[SampleRange, ...]) -> "DatasetReader":
        """The reader of the same data set that shows samples by these ranges."""
        return replace(self, ranges=ranges)


def _picture(dataset: Dataset, number: int) -> object:
    """An item's picture: a PIL image, an array of whole numbers of more than 8 bits, or the float tensor as it is."""
    try:
        value, _ = _item(dataset, number)
        return _checked(value)
    except DAMAGE as error:
        reason = (str(error).strip().splitlines() or [""])[0]
        raise ImagesError(f"the data set fails: {type(error).__name__}: {reason}") from error


def _checked(value: object) -> object:
    if isinstance(value, Image.Image):
        return value
    samples = value
    if type(value).__module__.startswith("torch"):
        tensor = cast(Any, value)
        if tensor.is_floating_point():
            return tensor
        samples = tensor.cpu().numpy()
        samples = samples.transpose(1, 2, 0) if samples.ndim == 3 and samples.shape[0] in (1, 3, 4) else samples
    if not isinstance(samples, np.ndarray) or samples.dtype.kind not in "ui" or samples.ndim not in (2, 3):
        raise ImagesError(f"the data set gives {type(value).__name__}, which is no picture")
    samples = samples[:, :, 0] if samples.ndim == 3 and samples.shape[2] == 1 else samples
    return Image.fromarray(samples) if samples.dtype == np.uint8 else samples


def _labels(dataset: object, count: int) -> Labels:
    """Labels by number: whole numbers as they are, texts by the data set's class names, else in sorted order."""
    raw = _raw_labels(dataset, count)
    texts = [_text(value) for value in raw]
    names = _given_names(dataset) or _given_names(getattr(dataset, "dataset", None))
    known = set(texts) - {""}
    is_name = any(isinstance(value, str) for value in raw)
    if is_name and known <= set(names) and len(set(names)) == len(names):
        place = {name: number for number, name in enumerate(names)}
        return Labels(tuple(place.get(text) for text in texts), names)
    labels = number_labels(texts)
    is_numbered = labels.names is not None and all(name.isdecimal() for name in labels.names)
    if labels.names is not None and is_numbered and len(names) >= len(labels.names):
        return replace(labels, names=names)
    return labels


def _raw_labels(dataset: object, count: int) -> Sequence[object]:
    """Labels as the data set has them, from its table of labels; without one, from its items."""
    for attribute in LABEL_ATTRIBUTES:
        table: Any = getattr(dataset, attribute, None)
        table = table.tolist() if hasattr(table, "tolist") else table
        if isinstance(table, Sequence) and not isinstance(table, str) and len(table) == count:
            return table
    whole, chosen = getattr(dataset, "dataset", None), getattr(dataset, "indices", None)
    if isinstance(whole, Sized) and isinstance(chosen, (Sequence, np.ndarray)):
        inner = _raw_labels(whole, len(whole))
        return [inner[int(number)] for number in chosen]
    return [_label(cast(Dataset, dataset), number) for number in range(count)]


def _label(dataset: Dataset, number: int) -> object:
    try:
        return _item(dataset, number)[1]
    except DAMAGE:
        return None


def _text(value: object) -> str:
    """A label as text; empty if it is none: a number below -1, or neither a number, a text nor one-hot."""
    plain: Any = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(plain, (list, tuple)):
        plain = plain.index(1) if sorted(plain) == [0] * (len(plain) - 1) + [1] else None
    if isinstance(plain, (int, float)):
        return str(int(plain) if float(plain).is_integer() else plain) if plain >= -1 else ""
    return plain if isinstance(plain, str) else ""


def _given_names(dataset: object) -> tuple[str, ...]:
    """The class names that a data set has; empty if it has none that can be read."""
    for attribute in NAME_ATTRIBUTES:
        names: object = getattr(dataset, attribute, None)
        if isinstance(names, (Mapping, list, tuple)) and names:
            try:
                return name_outputs(names, attribute)[0]
            except ModelError:
                continue
    return ()


def _files(dataset: object, count: int) -> list[tuple[str, str]]:
    """Path and stamp of each image, if the data set has a list of its files."""
    table = getattr(dataset, "samples", None) or getattr(dataset, "imgs", None)
    if not isinstance(table, list) or len(table) != count or not all(isinstance(row, (tuple, list)) for row in table):
        return []
    if not all(row and isinstance(row[0], (str, Path)) for row in table):
        return []
    root, words = _root(dataset), _words(dataset)
    files = [Path(row[0]) for row in table]
    names = [file.relative_to(root) if file.is_relative_to(root) else file for file in files]
    return [(name.as_posix(), f"{stamp(file)} {words}") for name, file in zip(names, files, strict=True)]


def _root(dataset: object) -> Path:
    return Path(str(getattr(dataset, "root", ".")))


def _stamps(dataset: Dataset, count: int) -> tuple[str, ...]:
    """A stamp of each image, made of its samples; in a large set without an array, of those of a few images."""
    table, words = getattr(dataset, "data", None), _words(dataset)
    if isinstance(table, np.ndarray) or hasattr(table, "numpy"):
        samples = np.asarray(table)
        if len(samples) == count:
            return tuple(
                f"{hashlib.sha256(np.ascontiguousarray(row).data).hexdigest()[:16]} {words}" for row in samples
            )
    if count <= READ_WHOLE:
        return tuple(f"{_sample_hash(dataset, number)} {words}" for number in range(count))
    hashes = {
        number: _sample_hash(dataset, number) for number in (round(k * (count - 1) / PROBES) for k in range(PROBES + 1))
    }
    return tuple(f"{hashes.get(number, '')} {words}" for number in range(count))


def _sample_hash(dataset: Dataset, number: int) -> str:
    """Hash of an item's samples; empty if it cannot be read, or if two readings differ."""
    found = set()
    for _ in range(2):
        try:
            samples = np.asarray(_picture(dataset, number))
        except ImagesError:
            return ""
        found.add(hashlib.sha256(np.ascontiguousarray(samples).data).hexdigest()[:16])
    return found.pop() if len(found) == 1 else ""


def _words(dataset: object) -> str:
    """The `repr` of a data set, without addresses in memory."""
    return re.sub(r"\s+", " ", re.sub(r"0x[0-9a-fA-F]+", "", repr(dataset)))[:500]
