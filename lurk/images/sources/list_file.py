"""A list of images: a .csv, .tsv or .txt file with a path on each line, and perhaps a label."""

from collections.abc import Iterable
from pathlib import Path

from lurk.images.image_set import ImageSet
from lurk.images.label_list import read_list
from lurk.images.sources import SOURCES

SUFFIXES = (".csv", ".tsv", ".txt", ".tab", ".lst", ".list")


class List:
    """A list by its path."""

    def accepts(self, source: str) -> bool:
        """Whether `--data` is a list; a file without an extension is taken for one."""
        path = Path(source).expanduser()
        return (source.lower().endswith(SUFFIXES) and not path.is_dir()) or (not path.suffix and path.is_file())

    def names(self) -> Iterable[str]:
        """None: lists have paths."""
        return ()

    def load(self, source: str, cache: Path) -> ImageSet:
        """Read the list."""
        return read_list(source)


SOURCES.register("list")(List())
