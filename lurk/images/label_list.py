"""Makes an image set of a list: a text file with a path on each line, and perhaps a label."""

import os
from collections.abc import Sequence
from pathlib import Path, PurePath

from lurk.errors import ImagesError
from lurk.images.image_files import FileReader, stamp
from lurk.images.image_set import ImageSet
from lurk.images.labels import NO_CLASS, NUMBER, Labels, describe_classes, is_combination, number_labels
from lurk.images.list_columns import TRUE, Columns, choose_label, one_hot, read_columns
from lurk.images.list_files import FileFinder
from lurk.images.list_text import Line, Row, path_texts, read_lines, split_lines, spread

MOST_FRACTIONS, MOST_LOOKED_AT = 20, 1000
UNLABELLED = "the list has no labels, so its images have no classes: add a label after each path"
Entry = tuple[str, str, int]


def read_list(source: str, label_column: str | None = None) -> ImageSet:
    """Read a list.

    Args:
        source: Path of the list, with a line for each image: its path, and perhaps a label and more, in any order and
            with any usual separator.
        label_column: Title or number, from 1, of the column that holds the classes; by default it is found.

    Returns:
        The image set, sorted by path; its `notes` say what was understood.

    Raises:
        ImagesError: The list cannot be read or understood.
    """
    file = Path(source).expanduser()
    lines, notes = read_lines(file)
    if not lines:
        raise ImagesError(f"--data {source!r}: the list is empty")
    finder = FileFinder(file.resolve().parent)
    notes += (finder.settle(map(path_texts, spread(lines))),)
    columns = read_columns(file, split_lines(file, lines, lambda text: bool(finder.find(text))), finder)
    if not columns.rows:
        raise ImagesError(f"--data {source!r}: the list is empty")
    _refuse_other_separators(columns, lines, finder)
    texts, names, said = _labels(columns, label_column)
    entries, completed = _entries(columns, texts, finder)
    labels = _numbered([text for _, text, _ in entries], names)
    root = file.resolve().parent
    paths = tuple(path for path, _, _ in entries)
    stamps = tuple(stamp(root / path) for path in paths)
    missing = [line for (_, _, line), mark in zip(entries, stamps, strict=True) if mark == "missing"]
    _refuse_all_missing(file, columns, missing, len(entries))
    classes = [f"{said} as class: {describe_classes(_used(labels))}"] if labels.names else []
    lost = [f"{len(missing)} of {len(entries)} files are not there, first line {min(missing)}"] if missing else []
    return ImageSet(
        file.name,
        paths,
        labels.numbers,
        labels.names,
        FileReader(root, paths),
        stamps,
        tuple(range(len(paths))),
        "" if labels.names else UNLABELLED,
        tuple(note for note in (*classes, *labels.notes, *notes, *completed, *lost) if note),
        root=root,
    )


def _refuse_other_separators(columns: Columns, lines: Sequence[Line], finder: FileFinder) -> None:
    """Refuse a list of which a line names a file only if it is cut in another way than the other lines."""
    cut = {row.number for row in columns.rows if finder.find(row.cells[columns.path])}
    for line in [line for line in lines if line.number not in cut][:MOST_LOOKED_AT]:
        if any(map(finder.is_exact, path_texts(line))):
            raise ImagesError(
                f"--data {str(columns.file)!r}: line {line.number} is not separated as the others are: "
                f"{line.text[:40]!r}"
            )


def _used(labels: Labels) -> list[str]:
    """Names of the classes that have images."""
    used = {number for number in labels.numbers if number is not None}
    return [name for number, name in enumerate(labels.names or ()) if number in used]


def _labels(columns: Columns, wanted: str | None) -> tuple[list[str], dict[str, str], str]:
    """The label of each row, a name for each label where a column has one, and which column that is."""
    hot = None if wanted is not None else one_hot(columns)
    if hot:
        places = [next(place for place, column in enumerate(hot) if row.cells[column] in TRUE) for row in columns.rows]
        names = {str(place): columns.titles[column] for place, column in enumerate(hot)}
        return [str(place) for place in places], names, f"columns {hot[0] + 1} to {hot[-1] + 1}, of which one is 1,"
    label, name = choose_label(columns, wanted)
    if label is None:
        return [""] * len(columns.rows), {}, ""
    texts = columns.cells(label)
    if name is None:
        return texts, {}, columns.name(label)
    return texts, dict(zip(texts, columns.cells(name), strict=True)), f"{columns.name(label)} and {columns.name(name)}"


def _numbered(texts: Sequence[str], names: dict[str, str]) -> Labels:
    """Labels as numbers, with names; fractions of many values are measurements and no classes."""
    different = set(texts) - NO_CLASS
    is_measured = len(different) > MOST_FRACTIONS and all(map(NUMBER.fullmatch, different))
    if is_measured and any(float(text) % 1 for text in different):
        note = f"the labels are {len(different)} different numbers with fractions, which are no classes"
        return Labels((None,) * len(texts), None, (note,))
    labels = number_labels(texts)
    if names and labels.names:
        given = {number: names[text] for number, text in zip(labels.numbers, texts, strict=True) if number is not None}
        given |= {int(text): name for text, name in names.items() if len(names) > len(given)}
        top = max(max(given) + 1, len(labels.names))
        return Labels(labels.numbers, tuple(given.get(number, str(number)) for number in range(top)), labels.notes)
    sign = is_combination(texts)
    if sign:
        example = next(text for text in texts if sign in text)
        note = f"labels such as {example!r} are a class of their own, not several"
        return Labels(labels.numbers, labels.names, (*labels.notes, note))
    return labels


def _entries(columns: Columns, texts: Sequence[str], finder: FileFinder) -> tuple[list[Entry], tuple[str, ...]]:
    """Path, label and line of each image, sorted by path, each image once; and a note on paths that were completed."""
    found: dict[str, Entry] = {}
    example = ""
    for row, label in zip(columns.rows, texts, strict=True):
        path, written = _path(columns, row, finder), row.cells[columns.path]
        if path not in (written, written.replace("\\", "/")) and not example and os.path.normpath(written) != path:
            example = f"paths are completed: {written!r} is {path!r}"
        _, before, line = found.setdefault(path, (path, label, row.number))
        if before != label:
            raise ImagesError(
                f"--data {str(columns.file)!r}: line {row.number}: {path!r} is labelled {label!r}, on line {line} "
                f"{before!r}; keep one line for each image"
            )
    return sorted(found.values(), key=lambda entry: PurePath(entry[0]).parts), (example,)


def _path(columns: Columns, row: Row, finder: FileFinder) -> str:
    """The file that a row names, relative to the list's folder if it is below it; a missing one as the list has it."""
    text = row.cells[columns.path]
    if not text:
        raise ImagesError(f"--data {str(columns.file)!r}: line {row.number} has no path")
    files = finder.find(text)
    if len(files) > 1:  # a column may name the folder, such as `train`
        words = {cell for column, cell in enumerate(row.cells) if column != columns.path}
        named = [file for file in files if words & set(PurePath(_shown(file, finder.folder)).parts[:-1])]
        files = tuple(named) if len(named) == 1 else files
    below = [_shown(file, finder.folder) for file in files]
    if len(files) > 1:
        raise ImagesError(
            f"--data {str(columns.file)!r}: line {row.number}: {text!r} may be {below[0]!r} or {below[1]!r}; write the "
            "folder and the extension into the list"
        )
    return below[0] if below else PurePath(text.replace("\\", "/")).as_posix()


def _shown(file: str, folder: Path) -> str:
    return Path(file).relative_to(folder).as_posix() if Path(file).is_relative_to(folder) else os.path.normpath(file)


def _refuse_all_missing(file: Path, columns: Columns, missing: list[int], count: int) -> None:
    if len(missing) == count:
        first = columns.rows[0]
        raise ImagesError(
            f"--data {str(file)!r}: not one of its {count} files is there; the first, line {first.number}: "
            f"{first.cells[columns.path]!r}, was looked for in {str(file.resolve().parent)!r}, the list's folder, and "
            "in the folders below and beside it"
        )
