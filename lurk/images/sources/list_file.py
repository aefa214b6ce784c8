"""A list of images: a .csv, .tsv or .txt file with a path on each line, and perhaps a label."""

import csv
import re
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path, PurePath

from lurk.errors import ImagesError
from lurk.images.decoding import decode
from lurk.images.image_files import stamp
from lurk.images.image_set import ImageSet
from lurk.images.sources import SOURCES

SUFFIXES = (".csv", ".tsv", ".txt")
PATH_TITLES = frozenset(
    ("path", "file", "filename", "file_name", "filepath", "file_path", "image", "images", "image_path", "img", "name")
)
LABEL_TITLES = frozenset(
    ("label", "labels", "class", "class_name", "classname", "category", "target", "y", "class_id", "label_id")
)
MAX_CLASSES = 1_000_000
UNLABELLED = "the list has no labels, so its images have no classes: add a label after each path"
Row = tuple[int, str, str]


class List:
    """A list by its path."""

    def accepts(self, source: str) -> bool:
        """Whether `--data` is a list."""
        return source.lower().endswith(SUFFIXES) and not Path(source).expanduser().is_dir()

    def names(self) -> Iterable[str]:
        """None: lists have paths."""
        return ()

    def load(self, source: str, cache: Path) -> ImageSet:
        """Read a list, whose paths are relative to its folder; the images are sorted by path."""
        file = Path(source).expanduser()
        rows = _distinct(file, _rows(file))
        if not rows:
            raise ImagesError(f"--data {source!r}: the list is empty")
        labels, classes = _classes(file, [label for _, _, label in rows])
        root = file.resolve().parent
        paths = tuple(path for _, path, _ in rows)
        stamps = tuple(stamp(root / path) for path in paths)
        if all(mark == "missing" for mark in stamps):
            line, path, _ = min(rows)
            raise ImagesError(
                f"--data {source!r}: not one of its {len(rows)} files is there; the first, line {line}: {path!r}, was "
                f"looked for in {str(root)!r}, the list's folder"
            )
        return ImageSet(
            file.name,
            paths,
            labels,
            classes,
            partial(_read, root, paths),
            stamps,
            tuple(range(len(paths))),
            UNLABELLED if classes is None else "",
            root=root,
        )


def _read(root: Path, paths: tuple[str, ...], place: int) -> object:
    return decode(root / paths[place])


def _rows(file: Path) -> Iterator[Row]:
    """Line number, path and label of each line; the label is empty if the line has none."""
    try:
        text = file.read_text("utf-8-sig")
    except OSError as error:
        raise ImagesError(f"--data {str(file)!r}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ImagesError(f"--data {str(file)!r}: line {line} is not UTF-8 text") from error
    columns: tuple[int, int | None] | None = None
    for line, cells in _cells(file, text):
        if columns is None:
            columns = _columns(cells, file.parent)
            if columns is not None:
                continue
            columns = (0, 1)
        path, label = columns
        if path >= len(cells) or not cells[path] or "\0" in cells[path]:
            raise ImagesError(f"--data {str(file)!r}: line {line} has no path")
        yield line, cells[path], cells[label] if label is not None and label < len(cells) else ""


def _cells(file: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each line that is neither empty nor a comment."""
    lines = text.splitlines()
    kept = [
        (number, line) for number, line in enumerate(lines, 1) if line.strip() and not line.lstrip().startswith("#")
    ]
    if file.suffix.lower() == ".txt":
        for number, line in kept:
            yield number, _split(line.strip(), file.parent)
        return
    first = kept[0][1] if kept else ""
    delimiter = max("\t;,", key=first.count) if any(sign in first for sign in "\t;,") else ","
    for number, line in kept:
        try:
            cells = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True, strict=True))
        except csv.Error as error:
            raise ImagesError(f"--data {str(file)!r}: line {number}: {error}") from error
        yield number, [cell.strip() for cell in cells]


def _split(line: str, folder: Path) -> list[str]:
    """Path and label of a line of text, separated by tab, comma or the last space; only the path if that is a file."""
    for sign in ("\t", ","):
        path, found, label = line.rpartition(sign)
        if found and not _is_file(folder, line):
            return [path.strip(), label.strip()]
    words = line.rsplit(None, 1)
    if len(words) == 2 and not _is_file(folder, line) and re.search(r"\.\w{2,5}$", words[0]):
        return words
    return [line]


def _is_file(folder: Path, path: str) -> bool:
    try:
        return (folder / path).is_file()
    except (OSError, ValueError):
        return False


def _columns(cells: list[str], folder: Path) -> tuple[int, int | None] | None:
    """Columns of path and label, by the titles in a first line; None if the line holds no titles."""
    titles = [cell.lower() for cell in cells]
    paths = [column for column, title in enumerate(titles) if title in PATH_TITLES]
    if not paths or _is_file(folder, cells[paths[0]]):
        return None
    labels = [column for column, title in enumerate(titles) if title in LABEL_TITLES and column != paths[0]]
    return paths[0], labels[0] if labels else None


def _distinct(file: Path, rows: Iterable[Row]) -> list[Row]:
    """Rows sorted by path, each path once."""
    found: dict[str, Row] = {}
    for line, path, label in rows:
        plain = PurePath(path.replace("\\", "/")).as_posix()
        before = found.setdefault(plain, (line, plain, label))
        if before[2] != label:
            raise ImagesError(
                f"--data {str(file)!r}: line {line}: {path!r} is labelled {label!r}, on line {before[0]} {before[2]!r}"
            )
    return sorted(found.values(), key=lambda row: PurePath(row[1]).parts)


def _classes(file: Path, labels: list[str]) -> tuple[tuple[int | None, ...], tuple[str, ...] | None]:
    """Class numbers and names: labels that are numbers stay as they are, others are numbered in sorted order."""
    named = sorted({label for label in labels if label})
    if not named:
        return (None,) * len(labels), None
    if all(re.fullmatch(r"[0-9]{1,9}", label) for label in named):
        top = max(map(int, named))
        if top >= MAX_CLASSES:
            raise ImagesError(f"--data {str(file)!r}: label {top} is more than {MAX_CLASSES - 1:,}")
        return tuple(int(label) if label else None for label in labels), tuple(str(n) for n in range(top + 1))
    number = {name: k for k, name in enumerate(named)}
    return tuple(number.get(label) for label in labels), tuple(named)


SOURCES.register("list")(List())
