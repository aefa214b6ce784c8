"""Which column of a list holds the paths, which the labels, and whether its first line has their titles."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lurk.errors import ImagesError
from lurk.images.labels import NO_CLASS, NUMBER, WHOLE
from lurk.images.list_files import FileFinder
from lurk.images.list_text import Row

SAMPLE = 60
MOST_TITLES = 3
SHOWN = 6
PATH_WORDS = frozenset(
    ("path", "file", "filename", "filepath", "image", "images", "img", "imgpath", "picture", "photo")
)
LABEL_WORDS = frozenset(
    [
        "label",
        "labels",
        "class",
        "classes",
        "classname",
        "classid",
        "category",
        "categories",
        "target",
        "targets",
        "truth",
        "groundtruth",
        "diagnosis",
        "dx",
        "breed",
        "species",
        "labelid",
    ]
)
QUALIFIERS = frozenset(["id", "ids", "idx", "index", "name", "names", "number", "num", "no", "code", "text"])
QUOTE = "; or put a class of several words into quotes"
SPLIT_WORDS = frozenset(["split", "subset", "partition", "fold", "usage"])
SPLITS = frozenset(["train", "training", "val", "valid", "validation", "test", "testing", "dev", "eval"])
COUNT_WORDS = frozenset(("index", "idx", "no", "nr", "number", "row", "unnamed"))
TRUE, FALSE = frozenset(("1", "1.0", "True", "true")), frozenset(("0", "0.0", "False", "false"))


@dataclass(frozen=True)
class Columns:
    """A list by columns.

    Args:
        rows: The rows without the line of titles.
        titles: A title for each column; empty texts if the list has none.
        path: Number of the column of paths, from 0.
        file: The list, for messages.
    """

    rows: tuple[Row, ...] = field(repr=False)
    titles: tuple[str, ...]
    path: int
    file: Path

    def cells(self, column: int) -> list[str]:
        """The cells of a column."""
        return [row.cells[column] for row in self.rows]

    def name(self, column: int) -> str:
        """How messages call a column."""
        return f"column {column + 1} {self.titles[column]!r}" if self.titles[column] else f"column {column + 1}"


def read_columns(file: Path, rows: Sequence[Row], finder: FileFinder) -> Columns:
    """Find the column of paths and the line of titles.

    The column of paths is the one in which most cells are files. The first line holds titles if its cell in that
    column is no file and is unlike the others, and none of its cells is a value of its column.

    Args:
        file: The list, for messages.
        rows: Its rows.
        finder: Finds files.

    Returns:
        The columns.

    Raises:
        ImagesError: Two columns hold files alike.
    """
    path = _path_column(file, rows, finder)
    first = 0 if len(rows) > MOST_TITLES else len(rows)
    count = next((n for n, _ in enumerate(rows[: MOST_TITLES + 1]) if not _is_title(rows, n, path, finder)), first)
    titles = rows[count - 1].cells if count else ("",) * len(rows[0].cells)
    longer = next((row for row in rows[count:] if row.cells[-1]), None)
    if count and longer and not titles[-1]:
        is_counted = path == 1 and _is_count([row.cells[0] for row in rows[count:]])
        if not is_counted and (path or _words(titles[0]) & PATH_WORDS):
            raise ImagesError(
                f"--data {str(file)!r}: line {longer.number} has more cells than there are titles on line "
                f"{rows[count - 1].number}; put cells that hold the separator into quotes"
            )
        titles = ("", *titles[:-1])  # the column of paths, or of counts, has no title
    kept = tuple(row for row in rows[count:] if not any(titles) or row.cells != rows[count - 1].cells)
    return Columns(kept, tuple(titles), path, file)


def _path_column(file: Path, rows: Sequence[Row], finder: FileFinder) -> int:
    """The column that names the most different files; of several the one with a fitting title.

    A file counts first if its whole name is in the cell: a class `3` may seem to name the file `3.png`.
    """
    sample = rows[:: max(1, len(rows) // SAMPLE)][:SAMPLE]
    scores: list[tuple[float, ...]] = []
    for column, title in enumerate(rows[0].cells):
        cells = [row.cells[column] for row in sample]
        exact = len({cell for cell in cells if finder.is_exact(cell)})
        found = len({files for cell in cells if (files := finder.find(cell))})
        looks = sum(bool(re.search(r"\.[A-Za-z]\w{1,4}$", cell)) for cell in cells)
        scores.append((exact, found, looks if not found else len(set(cells)), bool(_words(title) & PATH_WORDS)))
    best = max(scores)
    alike = [column for column, score in enumerate(scores) if score == best]
    if best[1] and len(alike) > 1:
        different = {tuple(finder.find(row.cells[column]) for row in sample[1:]) for column in alike}
        if len(different) > 1:
            numbers = " and ".join(str(column + 1) for column in alike)
            raise ImagesError(f"--data {str(file)!r}: columns {numbers} both name files; keep the one with the images")
    return alike[0]


def _is_title(rows: Sequence[Row], place: int, path: int, finder: FileFinder) -> bool:
    """Whether a row holds titles: its path is no file and unlike the others, and no cell is a value of its column."""
    row, below = rows[place], rows[place + 1 :]
    cell = row.cells[path]
    if finder.is_exact(cell) or (finder.find(cell) and _joined(cell) not in PATH_WORDS):
        return False
    if _words(cell) & PATH_WORDS and not re.search(r"[./\\\d]", cell):
        return True
    others = [other.cells[path] for other in below[:SAMPLE]]
    suffix = os.path.splitext(cell)[1].lower()  # noqa: PTH122 - the text need be no path
    if suffix and suffix in {os.path.splitext(other)[1].lower() for other in others}:  # noqa: PTH122 - as above
        return False
    is_like = not suffix and len(cell) > 1 and re.search(r"\d", cell) and set(cell) <= set("".join(others))
    if not others or (is_like and not all(os.path.splitext(other)[1] for other in others)):  # noqa: PTH122 - as above
        return False
    values = [{other.cells[column] for other in below} for column in range(len(row.cells))]
    return not any(text in values[column] for column, text in enumerate(row.cells) if text and column != path)


def choose_label(columns: Columns, wanted: str | None) -> tuple[int | None, int | None]:
    """The column of labels, and one that holds a name for each of them.

    Args:
        columns: The list.
        wanted: What `--label-column` says: a title or a number from 1; None to choose by title and use.

    Returns:
        Their numbers, from 0; None if there is no such column.

    Raises:
        ImagesError: There is no such column, or several could be meant.
    """
    if wanted is not None:
        return _wanted(columns, wanted), None
    usable = [column for column in range(len(columns.titles)) if _is_usable(columns, column)]
    named = [column for column in usable if is_label_title(columns.titles[column])]
    if len(named) == 2 and (pair := _number_and_name(columns, named)):
        return pair
    for candidates in (named, [column for column in usable if _is_repeated(columns, column)], usable):
        if len(candidates) == 1:
            return candidates[0], None
        if candidates:
            choices = ", ".join(_choice(columns, column) for column in candidates[:SHOWN])
            more = ", …" if len(candidates) > SHOWN else "" if any(columns.titles) else QUOTE
            raise ImagesError(
                f"--data {str(columns.file)!r}: which column is the class? Say --label-column NAME or NUMBER: "
                f"{choices}{more}"
            )
    return None, None


def is_label_title(title: str) -> bool:
    """Whether a title says that its column holds labels."""
    words = [word for word in _word_list(title) if word not in QUALIFIERS]
    return _joined(title) in LABEL_WORDS or (bool(words) and words[-1] in LABEL_WORDS)


def _choice(columns: Columns, column: int) -> str:
    title = columns.titles[column]
    return f"{column + 1} {title!r}" if title else f"{column + 1} ({columns.rows[0].cells[column]!r}, …)"


def _wanted(columns: Columns, wanted: str) -> int:
    titles = list(columns.titles)
    folded = [title.casefold() for title in titles]
    found = None
    if wanted in titles:
        found = titles.index(wanted)
    elif folded.count(wanted.casefold()) == 1:
        found = folded.index(wanted.casefold())
    elif wanted.isdecimal() and 1 <= int(wanted) <= len(titles):
        found = int(wanted) - 1
    if found == columns.path:
        raise ImagesError(f"--label-column {wanted!r}: that column of {str(columns.file)!r} holds the paths")
    if found is not None:
        return found
    known = ", ".join(f"{n} {title!r}" if title else str(n) for n, title in enumerate(titles, 1))
    raise ImagesError(f"--label-column {wanted!r}: {str(columns.file)!r} has no such column; it has {known}")


def _is_usable(columns: Columns, column: int) -> bool:
    """Whether a column may hold labels: it is not empty, does not count the lines and does not name a split."""
    cells = [cell for cell in columns.cells(column) if cell not in NO_CLASS]
    title = columns.titles[column]
    if column == columns.path or not cells or is_label_title(title):
        return column != columns.path and bool(cells)
    if _words(title) & SPLIT_WORDS or {cell.lower() for cell in cells} <= SPLITS:
        return False
    is_counting = column < columns.path or bool(_words(title) & COUNT_WORDS) or (not title and any(columns.titles))
    return not (is_counting and len(cells) == len(columns.rows) and _is_count(cells))


def _is_count(cells: Sequence[str]) -> bool:
    """Whether cells count the lines, from 0 or 1."""
    return cells[0] in ("0", "1") and list(cells) == [str(int(cells[0]) + n) for n in range(len(cells))]


def _is_repeated(columns: Columns, column: int) -> bool:
    """Whether a column has a few different values, which are not fractions."""
    cells = [cell for cell in columns.cells(column) if cell not in NO_CLASS]
    different = set(cells)
    has_fraction = all(map(NUMBER.fullmatch, different)) and any(float(cell) % 1 for cell in different)
    return 1 < len(different) <= len(cells) // 2 and not has_fraction


def _number_and_name(columns: Columns, pair: Sequence[int]) -> tuple[int, int] | None:
    """Of two columns the one with numbers and the one with a name for each number; None if they are not so."""
    for number, name in (pair, pair[::-1]):
        both = set(zip(columns.cells(number), columns.cells(name), strict=True))
        numbers, names = {cell for cell, _ in both}, {cell for _, cell in both}
        is_text = not any(cell in NO_CLASS or NUMBER.fullmatch(cell) for cell in names)
        if is_text and len(both) == len(numbers) == len(names) and all(map(WHOLE.fullmatch, numbers)):
            return number, name
    return None


def one_hot(columns: Columns) -> list[int] | None:
    """Columns that hold one class each, if exactly one of them is 1 in every row; None if there are none.

    Args:
        columns: The list, with titles.

    Returns:
        Their numbers, from 0.

    Raises:
        ImagesError: There are three or more columns of 0 and 1, and a row has none or several that are 1.
    """
    if any(map(is_label_title, columns.titles)):
        return None
    found = [
        column
        for column, title in enumerate(columns.titles)
        if title and column != columns.path and set(columns.cells(column)) <= TRUE | FALSE
    ]
    found = [column for column in found if not set(columns.cells(column)) <= TRUE]
    if len(found) < 2:
        return None
    for row in columns.rows:
        count = sum(row.cells[column] in TRUE for column in found)
        if count != 1:
            if len(found) == 2:
                return None
            raise ImagesError(
                f"--data {str(columns.file)!r}: columns {found[0] + 1} to {found[-1] + 1} are one class each, and "
                f"line {row.number} has {count} of them; choose one with --label-column NAME"
            )
    return found


def _words(title: str) -> set[str]:
    """Words of a title: `ImageId` has image, id and imageid."""
    return {*_word_list(title), _joined(title)}


def _word_list(title: str) -> list[str]:
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", title)]


def _joined(title: str) -> str:
    return re.sub(r"[\W_]+", "", title).lower()
