"""An image set: images in a fixed order, with labels; and a hit that reads its image from one. Needs no torch."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from lurk.errors import ImagesError
from lurk.images.class_names import ClassNames
from lurk.images.decoding import decode, read_header
from lurk.images.deep_samples import SampleRange
from lurk.records import Hit, printable

Labels = tuple[int | None, ...]


@dataclass(frozen=True)
class ImageSet:
    """Images in a fixed order, with labels.

    >>> images = load_images("path/to/folder")  # doctest: +SKIP
    >>> images.paths[0], images.classes[images.labels[0]], images.read(0).size  # doctest: +SKIP
    ('cat/1.jpg', 'cat', (640, 480))

    Args:
        name: Name on the page.
        paths: Path of each image below the set's folder, or the source's name for it; sorted.
        labels: Class number of each image; None for an image without a class.
        classes: Names of the classes; None if there are none.
        reader: Reads an image, given its number in the source.
        stamps: A text for each image that changes when the image does, such as size and time of its file.
        places: Number of each image in the source.
        note: A remark for the user, for example why there are no classes.
        notes: What was understood of the source, a line each, such as which column of a list holds the classes.
        root: Folder that the paths are below; None if the images are no files.
        ranges: Which samples of more than 8 bits are shown black and white; empty if there are none.
        notice: A warning that every user must see; empty if there is none.
    """

    name: str
    paths: tuple[str, ...]
    labels: Labels
    classes: tuple[str, ...] | None
    reader: Callable[[int], Any] = field(repr=False)
    stamps: tuple[str, ...] = field(repr=False)
    places: tuple[int, ...] = field(repr=False)
    note: str = ""
    notes: tuple[str, ...] = ()
    root: Path | None = field(default=None, repr=False)
    ranges: tuple[SampleRange, ...] = ()
    notice: str = ""

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, number: int) -> Any:
        """Read an image.

        Args:
            number: Position in the set.

        Returns:
            A PIL picture of mode RGB, upright; or the float tensor (c, h, w) of a data set that preprocesses.

        Raises:
            IndexError: The set has no such position.
        """
        if not 0 <= number < len(self.places):
            raise IndexError(f"image {number} of {len(self)}")
        return self.reader(self.places[number])

    def file(self, number: int) -> Path | None:
        """The file of an image, as an absolute path; None if the images are no files."""
        return None if self.root is None else self.root / self.paths[number]

    @cached_property
    def fingerprint(self) -> str:
        """32 hexadecimal digits that change with the images, their order, labels, class names and sample ranges."""
        total = hashlib.sha256(repr(self.classes).encode())
        if self.ranges:
            total.update(repr(self.ranges).encode())
        for path, label, stamp in zip(self.paths, self.labels, self.stamps, strict=True):
            total.update(repr((path, label, stamp)).encode("utf-8", "surrogateescape"))
        return total.hexdigest()[:32]

    def sampled(self, count: int) -> "ImageSet":
        """A sample of each class, the same one each time and on each machine.

        Args:
            count: Images of each class; a class that has fewer keeps all.

        Returns:
            The smaller set, in the same order.
        """
        groups: dict[int | None, list[int]] = {}
        for number, label in enumerate(self.labels):
            groups.setdefault(label, []).append(number)
        chosen = sorted(
            group[place]
            for group in groups.values()
            for place in in_random_order([self.paths[number] for number in group])[:count]
        )
        return replace(
            self,
            paths=tuple(self.paths[n] for n in chosen),
            labels=tuple(self.labels[n] for n in chosen),
            stamps=tuple(self.stamps[n] for n in chosen),
            places=tuple(self.places[n] for n in chosen),
        )

    def named(self, names: ClassNames) -> "ImageSet":
        """The set with the class names of a class-name file.

        Args:
            names: The file's content.

        Returns:
            The set with these names.

        Raises:
            ImagesError: The file does not fit the set's classes, or the set has no classes.
        """
        if self.classes is None:
            raise ImagesError(f"--classes {names.file}: the image set has no classes to name; {self.note}")
        classes, note = names.apply(self.classes, set(self.labels))
        return replace(self, classes=classes, notes=(*self.notes, note))


def in_random_order(paths: Sequence[str]) -> list[int]:
    """Places of paths in a random order that depends on the paths alone."""
    marks = [hashlib.sha256(path.encode("utf-8", "surrogateescape")).digest() for path in paths]
    return sorted(range(len(paths)), key=lambda place: (marks[place], paths[place]))


class ReadableHit(Hit):
    """A hit whose `path` is that of its file, usable from any folder, if its image is a file.

    >>> hit = index.unit("layer1.0.conv1", 12).hits_max[0]  # doctest: +SKIP
    >>> hit.path, hit.read().size  # doctest: +SKIP
    ('/home/ann/photos/cat/1.jpg', (640, 480))
    """

    _images: ImageSet | None = None

    def read(self) -> Any:
        """Read the image as its image set does: a PIL picture, or the tensor of a data set that preprocesses."""
        return read_hit(self, self._images)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Hit) and _values(self) == _values(other)

    __hash__ = Hit.__hash__

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_images"}


def _values(hit: Hit) -> tuple[object, ...]:
    return tuple(getattr(hit, name) for name in Hit.__dataclass_fields__)


def readable(hit: Hit, images: ImageSet) -> ReadableHit:
    """Make a hit readable.

    Args:
        hit: A hit of an index.
        images: The image set of that index.

    Returns:
        The hit with the absolute path of its file; with the data set's own name if its images are no files.
    """
    file = images.file(hit.image)
    values = {name: getattr(hit, name) for name in Hit.__dataclass_fields__}
    made = ReadableHit(**values | ({} if file is None else {"path": str(file)}))
    object.__setattr__(made, "_images", images)
    return made


def read_hit(hit: Hit, images: ImageSet | None) -> Any:
    """Read the image of a hit.

    Args:
        hit: The hit.
        images: The image set that it was found in; None if only its path is known.

    Returns:
        A PIL picture, or the tensor of a data set that preprocesses.

    Raises:
        ImagesError: The image is not where the hit says, or is another than the hit's.
    """
    images = images or getattr(hit, "_images", None)
    if images is None:
        if Path(hit.path).is_absolute():
            if read_header(hit.path).is_deep:
                raise ImagesError(f"{hit.path[:200]!r} has more than 8 bits, which its image set scales; give images=")
            return decode(hit.path)
        raise ImagesError(f"the path of this hit, {hit.path[:200]!r}, is below its image set's folder; give images=")
    if not is_of(hit, images):
        raise ImagesError(f"image {hit.image}, {hit.path[:200]!r}, is not in image set {images.name!r}; give its own")
    return images.read(hit.image)


def is_of(hit: Hit, images: ImageSet) -> bool:
    """Whether a hit's image is still in its place in an image set."""
    return 0 <= hit.image < len(images) and hit.path in (
        printable(images.paths[hit.image]),
        str(images.file(hit.image)),
    )
