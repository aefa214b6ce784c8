"""The text of a list of images: its encoding, its separator, and its lines as cells."""

import csv
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from lurk.errors import ImagesError

BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
SEPARATORS = ("\t", ";", ",", "|", " ")
MOST_CUTS = 40
WORD = re.compile(r"""\"[^\"]*\"|'[^']*'(?!\S)|\S+""")


@dataclass(frozen=True)
class Line:
    """A line that is neither empty nor a comment: its number in the file, from 1, and its text."""

    number: int
    text: str


@dataclass(frozen=True)
class Row:
    """A line as cells: its number in the file, from 1, and its cells, as many in each row."""

    number: int
    cells: tuple[str, ...]


def read_lines(file: Path) -> tuple[list[Line], tuple[str, ...]]:
    """Read the lines of a list.

    Args:
        file: The list: UTF-8, UTF-16 with or without a mark at its beginning, or else Latin-1.

    Returns:
        The lines without empty ones and comments (`#`), and notes of what was understood.

    Raises:
        ImagesError: The file cannot be read or is no text.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ImagesError(f"--data {str(file)!r}: cannot be read: {error.strerror}") from error
    text, notes = _decoded(data)
    if "\0" in text:
        kind = "an Excel or ZIP file" if data.startswith(b"PK") else "no text"
        raise ImagesError(f"--data {str(file)!r}: is {kind}; save the list as CSV")
    lines = [Line(number, line.strip("\r\n \f\v")) for number, line in enumerate(text.split("\n"), 1)]
    kept = [line for line in lines if line.text.strip() and not line.text.lstrip().startswith("#")]
    if kept and kept[0].text.lstrip().startswith(("{", "[", "<")) and not Path(file.parent, kept[0].text).exists():
        raise ImagesError(
            f"--data {str(file)!r}: is JSON or XML; save the list as CSV: a path and a label on each line"
        )
    if kept and re.fullmatch("sep=.", kept[0].text):  # Excel's way of naming the separator
        del kept[0]
    return kept, notes


def _decoded(data: bytes) -> tuple[str, tuple[str, ...]]:
    encoding = next((name for mark, name in BOMS if data.startswith(mark)), None)
    if encoding is None and data[:200].count(b"\0") > len(data[:200]) // 3:
        encoding = "utf-16-le" if data[1:2] == b"\0" else "utf-16-be"
    for name in (encoding or "utf-8", "cp1252"):
        try:
            text = data.decode(name).replace("\r\n", "\n").replace("\r", "\n")
        except UnicodeDecodeError:
            continue
        return text, ("the list is no UTF-8 text and was read as Windows-1252",) if name == "cp1252" else ()
    return data.decode("latin-1"), ("the list is no UTF-8 text and was read as Latin-1",)


def split_lines(file: Path, lines: list[Line], is_file: Callable[[str], bool]) -> list[Row]:
    """Split lines into cells, in the way in which most of them name a file and all have as many cells.

    The cells are separated by a sign and may be quoted; or each line is a path and the rest, because paths or labels
    hold the separator without quotes.

    Args:
        file: The list, for messages.
        lines: The lines.
        is_file: Whether a text names a file.

    Returns:
        The rows, all of one length.

    Raises:
        ImagesError: A line has a quote that is never closed.
    """
    sample = spread(lines)

    def fit(way: tuple[bool, str]) -> tuple[int, int]:
        rows = [_split(line, way, is_file) for line in sample]
        widths = Counter(map(len, rows))
        width, count = widths.most_common(1)[0]
        first = next(place for place, row in enumerate(rows) if len(row) == width)
        is_uneven = max(widths) > width or (way[1] == " " and any(len(row) < width for row in rows[first:]))
        regular = 0 if is_uneven else 1 if way[0] or width == 1 or count * 2 < len(rows) else 2
        return sum(any(map(is_file, row)) for row in rows), regular

    is_parted, sign = max([(is_parted, sign) for is_parted in (False, True) for sign in SEPARATORS], key=fit)
    rows = [_split(line, (is_parted, sign), is_file, file) for line in lines]
    width = max(map(len, rows))
    return [Row(line.number, (*row, *[""] * (width - len(row)))) for line, row in zip(lines, rows, strict=True)]


def _split(line: Line, way: tuple[bool, str], is_file: Callable[[str], bool], file: Path | None = None) -> list[str]:
    is_parted, sign = way
    return _path_and_rest(line.text, sign, is_file) if is_parted else cells_of(line, sign, file)


def spread(lines: list[Line], count: int = 60) -> list[Line]:
    """At most so many lines, spread evenly."""
    return lines[:: max(1, len(lines) // count)][:count]


def path_texts(line: Line) -> list[str]:
    """All parts of a line that may be its path."""
    cuts = [found.span() for found in islice(re.finditer(r"[\s,;|]+", line.text), MOST_CUTS)]
    parts = [text for start, end in cuts for text in (line.text[:start], line.text[end:])]
    cells = [cell for sign in SEPARATORS for cell in cells_of(line, sign)]
    return list(dict.fromkeys(_bare(text) for text in (line.text, *cells, *parts)))


def cells_of(line: Line, sign: str, file: Path | None = None) -> list[str]:
    """Cells of a line, without empty ones at its end; a file is given if a wrong quote is to be an error."""
    if sign == " ":
        cells = [_bare(word) for word in WORD.findall(line.text)]
    else:
        reader = csv.reader([line.text], delimiter=sign, skipinitialspace=True, strict=file is not None)
        try:
            cells = [_bare(cell) for cell in next(reader)]
        except csv.Error as error:
            raise ImagesError(f"--data {str(file)!r}: line {line.number}: {error}; quote whole cells only") from error
    while len(cells) > 1 and not cells[-1]:
        cells.pop()
    return cells


def _path_and_rest(text: str, sign: str, is_file: Callable[[str], bool]) -> list[str]:
    """The path at the beginning of a line and the rest, or what stands before the path at its end and the path."""
    cuts = [found.span() for found in re.finditer(r"\s+" if sign == " " else rf"\s*{re.escape(sign)}\s*", text)]
    for start, end in reversed(cuts):
        if is_file(_bare(text[:start])):
            return [_bare(text[:start]), _bare(text[end:])]
    for start, end in cuts:
        if is_file(_bare(text[end:])):
            return [_bare(text[:start]), _bare(text[end:])]
    named = next((span for span in reversed(cuts) if re.search(r"\.\w{2,5}$", text[: span[0]])), None)
    start, end = named or (cuts[0] if cuts else (len(text), len(text)))
    return [_bare(text[:start]), _bare(text[end:])]


def _bare(text: str) -> str:
    """A cell without white space and quotes around it."""
    text = text.strip().strip('"')
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == "'" else text
