"""A folder of images: a sub-folder per class, or flat and without classes."""

from collections.abc import Iterable
from pathlib import Path

from lurk.images.image_files import list_folder
from lurk.images.image_set import ImageSet
from lurk.images.sources import SOURCES


class Folder:
    """A folder by its path."""

    def accepts(self, source: str) -> bool:
        """Whether `--data` is a folder."""
        return Path(source).expanduser().is_dir()

    def names(self) -> Iterable[str]:
        """None: folders have paths."""
        return ()

    def load(self, source: str, cache: Path) -> ImageSet:
        """List the folder's images."""
        return list_folder(Path(source).expanduser())


SOURCES.register("folder")(Folder())
