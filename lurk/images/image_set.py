"""What an image set is to everything else. Torch-free."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from lurk.errors import ImagesError
from lurk.images.classes import ClassNames

Labels = tuple[int | None, ...]


@dataclass(frozen=True)
class ImageSet:
    """Images in a fixed order, with labels.

    >>> images = load_images("path/to/folder")  # doctest: +SKIP
    >>> images.paths[0], images.classes[images.labels[0]], images.read(0).size  # doctest: +SKIP
    ('cat/1.jpg', 'cat', (640, 480))

    Args:
        name: What it is called on the page.
        paths: Of each image, the path below the set's folder, or its own name for it; sorted.
        labels: Of each image, the class number, None without one.
        classes: Names of the classes, None where there are none.
        reader: Reads an image by its place in the source.
        stamps: Of each image, what tells that its content changed.
        places: Of each image, its place in the source.
        note: What to know, for example why there are no classes.
    """

    name: str
    paths: tuple[str, ...]
    labels: Labels
    classes: tuple[str, ...] | None
    reader: Callable[[int], Any] = field(repr=False)
    stamps: tuple[str, ...] = field(repr=False)
    places: tuple[int, ...] = field(repr=False)
    note: str = ""

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, number: int) -> Any:
        """Read an image.

        Args:
            number: Position in the set.

        Returns:
            A PIL picture of mode RGB, upright; of a data set that preprocesses, its float tensor (c, h, w).

        Raises:
            IndexError: There is no such position.
        """
        if not 0 <= number < len(self.places):
            raise IndexError(f"image {number} of {len(self)}")
        return self.reader(self.places[number])

    @cached_property
    def fingerprint(self) -> str:
        """32 hexadecimal digits that change with the images, their order, their labels and the class names."""
        total = hashlib.sha256(repr(self.classes).encode())
        for path, label, stamp in zip(self.paths, self.labels, self.stamps, strict=True):
            total.update(repr((path, label, stamp)).encode("utf-8", "surrogateescape"))
        return total.hexdigest()[:32]

    def sampled(self, count: int) -> "ImageSet":
        """So many images of each class, the same ones each time and on each machine.

        Args:
            count: How many; a class that has fewer is taken whole.

        Returns:
            The smaller set, in the same order.
        """
        groups: dict[int | None, list[int]] = {}
        for number, label in enumerate(self.labels):
            groups.setdefault(label, []).append(number)
        chosen = sorted(
            number for group in groups.values() for number in sorted(group, key=lambda n: _lot(self.paths[n]))[:count]
        )
        return replace(
            self,
            paths=tuple(self.paths[n] for n in chosen),
            labels=tuple(self.labels[n] for n in chosen),
            stamps=tuple(self.stamps[n] for n in chosen),
            places=tuple(self.places[n] for n in chosen),
        )

    def named(self, names: ClassNames) -> "ImageSet":
        """The set with its classes called as a class-name file says.

        Args:
            names: The file's content.

        Returns:
            The set with other class names.

        Raises:
            ImagesError: The file does not fit the set's classes, or the set has none.
        """
        if self.classes is None:
            raise ImagesError(f"--classes {names.file}: the image set has no classes to name; {self.note}")
        return replace(self, classes=names.apply(self.classes))


def _lot(path: str) -> tuple[bytes, str]:
    """Draw a lot for an image by its path alone."""
    return hashlib.sha256(path.encode("utf-8", "surrogateescape")).digest(), path
