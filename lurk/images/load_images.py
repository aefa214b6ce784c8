"""Loading an image set: a name, a path or a torch data set becomes an `ImageSet`."""

from os import PathLike, fspath
from pathlib import Path

from lurk.errors import ImagesError, expect, whole_number
from lurk.images.class_names import read_class_names
from lurk.images.image_set import ImageSet
from lurk.images.label_list import read_list
from lurk.images.sample_ranges import with_ranges
from lurk.images.sources import SOURCES
from lurk.images.torch_dataset import from_dataset


def load_images(
    source: str | PathLike[str] | object,
    *,
    classes: str | PathLike[str] | None = None,
    sample: int | None = None,
    label_column: str | None = None,
    sample_range: str | None = None,
    cache: str | PathLike[str] = "cache",
) -> ImageSet:
    """Load an image set; the images themselves are read later, one by one.

    Args:
        source: `demo`, a folder with a sub-folder per class, a flat folder, a .csv or .txt list, the name of a
            torchvision data set, or a torch Dataset.
        classes: A file that maps folder names to class names.
        sample: Take at most this many images of each class, the same ones each time; by default all.
        label_column: Title or number, from 1, of the column of a list that holds the classes; by default it is found.
        sample_range: `LOW:HIGH`, the samples of more than 8 bits that are shown black and white; by default found.
        cache: The cache directory, in which the demo set is made.

    Returns:
        The image set.

    Raises:
        ImagesError: The source cannot be found, or holds no image.
    """
    sample = None if sample is None else whole_number(sample, "sample")
    if classes is not None:
        expect(classes, (str, PathLike), "classes of images are given as a file of names")
    if sample is not None and sample < 1:
        raise ImagesError(f"--sample must be 1 or more, not {sample}")
    names = read_class_names(Path(fspath(classes))) if classes is not None else None
    if label_column is not None:
        images = _with_column(source, label_column)
    elif isinstance(source, ImageSet):
        images = source
    elif isinstance(source, (str, PathLike)):
        images = _from_name(fspath(source), Path(fspath(cache)))
    else:
        images = from_dataset(source)
    if not isinstance(source, ImageSet) or sample_range is not None:
        images = with_ranges(images, sample_range)
    if names is not None:
        images = images.named(names)
    return images if sample is None else images.sampled(sample)


def _with_column(source: object, label_column: str) -> ImageSet:
    """Read a list whose column of classes is given."""
    path = fspath(source) if isinstance(source, (str, PathLike)) else ""
    if not Path(path).expanduser().is_file():
        raise ImagesError(f"--label-column {label_column!r} is for lists; {path or type(source).__name__!r} is no file")
    return read_list(path, label_column)


def _from_name(source: str, cache: Path) -> ImageSet:
    if not source:
        raise ImagesError("--data is empty; it takes a folder, a list or the name of an image set")
    try:
        for kind in SOURCES:
            if SOURCES[kind].accepts(source):
                return SOURCES[kind].load(source, cache)
    except OSError as error:
        raise ImagesError(f"--data {source[:200]!r} cannot be read: {error.strerror}") from error
    if Path(source).expanduser().is_file():
        raise ImagesError(f"--data {source!r} is neither a folder nor a list; a list is a .csv, .tsv or .txt file")
    known = sorted({name for kind in SOURCES for name in SOURCES[kind].names()})
    raise ImagesError(
        f"--data {source!r}: there is no such folder or list; it takes a folder, a .csv or .txt list, "
        f"or one of {', '.join(known)}"
    )
