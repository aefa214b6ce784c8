"""Where images come from: each file here that enters itself below is a source; this is their table."""

from collections.abc import Iterable
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Protocol

from lurk.errors import ImagesError
from lurk.images.classes import ClassNames, read_class_names
from lurk.images.decoding import decode as decode
from lurk.images.image_set import ImageSet as ImageSet
from lurk.registry import Registry


class Source(Protocol):
    """What a file of this folder enters into the table."""

    def accepts(self, source: str) -> bool:
        """Whether `--data` means this source."""

    def load(self, source: str, cache: Path) -> ImageSet:
        """The image set that `--data` asks for; `cache` is the cache directory."""

    def names(self) -> Iterable[str]:
        """Names that it knows, for messages."""


SOURCES = Registry[Source]("lurk.images", "--data", ImagesError)


@dataclass(frozen=True)
class Skipped:
    """An image that could not be used.

    Args:
        image: Position in the image set.
        path: Path below the image set's folder.
        reason: Why, in words.
    """

    image: int
    path: str
    reason: str


def load_images(
    source: str | PathLike[str] | object,
    *,
    classes: str | PathLike[str] | None = None,
    sample: int | None = None,
    cache: str | PathLike[str] = "cache",
) -> ImageSet:
    """Load an image set; the images themselves are read later, one by one.

    Args:
        source: `demo`, a folder with a sub-folder per class, a flat folder, a .csv or .txt list, the name of a
            torchvision data set, or a torch Dataset.
        classes: A file that maps folder names to class names.
        sample: Take only so many images a class, the same ones each time.
        cache: The cache directory, where the demo set is made.

    Returns:
        The image set.

    Raises:
        ImagesError: There is no such thing, or no image in it.
    """
    if sample is not None and sample < 1:
        raise ImagesError(f"--sample must be 1 or more, not {sample}")
    names: ClassNames | None = read_class_names(Path(fspath(classes))) if classes is not None else None
    if isinstance(source, ImageSet):
        images = source
    elif isinstance(source, (str, PathLike)):
        images = _from_name(fspath(source), Path(fspath(cache)))
    else:
        from lurk.images.dataset import from_dataset

        images = from_dataset(source)
    if names is not None:
        images = images.named(names)
    return images if sample is None else images.sampled(sample)


def _from_name(source: str, cache: Path) -> ImageSet:
    if not source:
        raise ImagesError("--data is empty; it takes a folder, a list or the name of an image set")
    try:
        for kind in SOURCES:
            if SOURCES[kind].accepts(source):
                return SOURCES[kind].load(source, cache)
    except OSError as error:
        raise ImagesError(f"--data {source[:200]!r} cannot be read: {error.strerror}") from error
    known = sorted({name for kind in SOURCES for name in SOURCES[kind].names()})
    raise ImagesError(
        f"--data {source!r}: there is no such folder or list; it takes a folder, a .csv or .txt list, "
        f"or one of {', '.join(known)}"
    )
