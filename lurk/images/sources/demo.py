"""The bundled image set: 40 classes of 25 images, made on first use, the same bytes on every machine."""

import io
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from lurk.errors import CacheError
from lurk.images.demo.photographs import FILES, photograph
from lurk.images.demo.stimuli import FIELDS, stimulus
from lurk.images.image_files import list_folder
from lurk.images.image_set import ImageSet
from lurk.images.sources import SOURCES
from lurk.storage.atomic_files import replace_folder, write_file

NAME, VERSION = "demo", 1
EACH = 25
MARK = ".version"


class Demo:
    """The demo set."""

    def accepts(self, source: str) -> bool:
        """Whether `--data` names it."""
        return source == NAME

    def names(self) -> Iterable[str]:
        """Its name."""
        return (NAME,)

    def load(self, source: str, cache: Path) -> ImageSet:
        """List the set, after making it below the cache directory if it is not there."""
        folder = cache / NAME
        if not _is_whole(folder):
            try:
                _make(folder)
            except OSError as error:
                raise CacheError(
                    f"the demo set cannot be written below {str(cache)!r}: {error.strerror}; choose another place with "
                    "--cache, or other images with --data"
                ) from error
        images = list_folder(folder, NAME)
        return replace(images, stamps=(f"{NAME} {VERSION}",) * len(images))


def pictures() -> Iterator[tuple[str, bytes]]:
    """Path and content of every file of the set, in sorted order."""
    for name in sorted((*FILES, *FIELDS)):
        for number in range(EACH):
            out = io.BytesIO()
            if name in FILES:
                photograph(name, number).save(out, "JPEG", quality=92, subsampling=0)
            else:
                stimulus(name, number).save(out, "GIF")
            yield _path(name, number), out.getvalue()


def _path(name: str, number: int) -> str:
    return f"{name}/{number:02}.{'jpg' if name in FILES else 'gif'}"


def _is_whole(folder: Path) -> bool:
    """Whether the folder holds all of this version of the set."""
    try:
        if (folder / MARK).read_text() != str(VERSION):
            return False
    except (OSError, ValueError):
        return False
    expected = {_path(name, number) for name in (*FILES, *FIELDS) for number in range(EACH)}
    return expected == {file.relative_to(folder).as_posix() for file in folder.glob("*/*") if file.stat().st_size}


def _make(folder: Path) -> None:
    """Make the set in a new folder, which then takes its place; if another process was faster, that one's set stays."""
    with replace_folder(folder, lambda: _is_whole(folder)) as new:
        for path, content in pictures():
            file = new / path
            file.parent.mkdir(mode=0o700, exist_ok=True)
            write_file(file, content)
        write_file(new / MARK, str(VERSION))


SOURCES.register("demo")(Demo())
