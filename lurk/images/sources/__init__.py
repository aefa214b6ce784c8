"""What a source of images is, and the table of them: each file of this folder enters one source."""

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from lurk.errors import ImagesError
from lurk.images.image_set import ImageSet
from lurk.registry import Registry


class Source(Protocol):
    """What a file of this folder enters into the table."""

    def accepts(self, source: str) -> bool:
        """Whether this source can load what `--data` names."""

    def load(self, source: str, cache: Path) -> ImageSet:
        """Load the image set that `--data` names; `cache` is the cache directory."""

    def names(self) -> Iterable[str]:
        """Names that it knows, for error messages."""


SOURCES = Registry[Source]("lurk.images.sources", "--data", ImagesError)
