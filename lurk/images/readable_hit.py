"""A hit that can read its image; the hits of `lurk.sweep` are such."""

from pathlib import Path
from typing import Any

from lurk.errors import ImagesError
from lurk.images.decoding import decode
from lurk.images.image_set import ImageSet
from lurk.records import Hit


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
            return decode(hit.path)
        raise ImagesError(f"the path of this hit, {hit.path[:200]!r}, is below its image set's folder; give images=")
    if not is_of(hit, images):
        raise ImagesError(f"image {hit.image}, {hit.path[:200]!r}, is not in image set {images.name!r}; give its own")
    return images.read(hit.image)


def is_of(hit: Hit, images: ImageSet) -> bool:
    """Whether a hit's image is still in its place in an image set."""
    return 0 <= hit.image < len(images) and hit.path in (images.paths[hit.image], str(images.file(hit.image)))
