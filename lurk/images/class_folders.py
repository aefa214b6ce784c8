"""Which folders of an image folder are classes."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from lurk.images.labels import describe_classes, sort_names
from lurk.records import counted

Parts = tuple[str, ...]
SPLIT = re.compile(
    r"(?P<before>\w+[_ -])?(train|training|val|valid|validation|test|testing|dev|eval|holdout|pred|fold)"
    r"([_ -]?(set|images|imgs|data|split))?[_ -]?\d*",
    re.I,
)
NO_CLASSES = frozenset(
    (
        *("images", "image", "imgs", "img", "pictures", "photos", "frames", "data", "raw", "jpegimages", "jpegs"),
        *("jpg", "jpeg", "png", "pngs", "masks", "mask", "labels", "annotations", "segmentations", "segmentation"),
        *("segmentationclass", "segmentationobject", "semantic", "instance", "instances", "trimaps", "gt", "gtfine"),
        *("leftimg8bit", "groundtruth", "ground_truth"),
    )
)
FLAT = "the folder has no sub-folders, so its images have no classes: put those of a class into a folder of its own"
SHOWN = 3


@dataclass(frozen=True)
class ClassFolders:
    """The classes of the images in a folder.

    Args:
        labels: Class number of each image; None for an image without a class.
        classes: Names of the classes, sorted; None if there are none.
        note: Why there are no classes, or how many images have none; empty otherwise.
        notes: What was understood, a line each.
    """

    labels: tuple[int | None, ...]
    classes: tuple[str, ...] | None
    note: str
    notes: tuple[str, ...]


def find_classes(paths: Sequence[Parts], folders: Collection[Parts]) -> ClassFolders:
    """Find the folders that are classes.

    As in torchvision's `ImageFolder` they are the folders directly below the root, with two differences: a folder that
    holds nothing but one folder is skipped, and if all are called like parts of a data set (`train`, `val`, `test`),
    the classes are the folders below them; so they are if it is the only one and called like a kind of files, such as
    `images`. Folders of numbers are sorted by number.

    Args:
        paths: Path of each image below the root.
        folders: Path of each folder below the root, also of those without images.

    Returns:
        Classes and labels.
    """
    level = _first_level(paths)
    tops = below = _folders_at(level, paths)
    while _is_split(below) or (len(below) == 1 and _is_kind(below[0])):
        level += 1
        below = _folders_at(level, paths)
    is_split = _is_split(tops)
    names = [parts[level] if len(parts) > level + 1 else None for parts in paths]
    if all(map(_is_kind, below)):
        return _without_classes(tops, len(paths), is_split)
    if is_split:
        names = [None if name and _is_kind(name) else name for name in names]
    classes = sort_names({name for name in names if name is not None})
    number = {name: place for place, name in enumerate(classes)}
    loose = sum(name is None for name in names)
    empty = sorted({parts[level] for parts in folders if len(parts) == level + 1 and parts[level] not in number})
    notes = [_describe(classes, paths, level)]
    if is_split:
        notes.append(f"the folders {', '.join(tops)} are taken as parts of the set, not as classes")
    if empty:
        more = f" and {len(empty) - SHOWN} more" if len(empty) > SHOWN else ""
        notes.append(f"folders without images are no classes: {', '.join(empty[:SHOWN])}{more}")
    lie, have = ("lies", "has") if loose == 1 else ("lie", "have")
    return ClassFolders(
        tuple(None if name is None else number[name] for name in names),
        tuple(classes),
        f"{counted(loose, 'image')} {lie} beside the class folders and {have} no class" if loose else "",
        tuple(notes),
    )


def _folders_at(level: int, paths: Sequence[Parts]) -> list[str]:
    return sorted({parts[level] for parts in paths if len(parts) > level + 1})


def _is_split(names: Sequence[str]) -> bool:
    """Whether folders are parts of a set, perhaps beside kinds of files: `train` and `test`, or `a_train`, `a_test`."""
    found = [SPLIT.fullmatch(name) for name in names if not _is_kind(name)]
    before = [match["before"] for match in found if match]
    return bool(before) and None not in found and len(set(before)) == 1 and (len(before) > 1 or not before[0])


def _is_kind(name: str) -> bool:
    """Whether a folder is called like a kind of files, such as `images` or `image_2`."""
    return re.sub(r"[\W_]*\d*$", "", name.lower()) in NO_CLASSES


def _first_level(paths: Sequence[Parts]) -> int:
    """How many folders lie around all images and hold nothing but a folder, down to the first that holds several."""
    level = 0
    while all(len(parts) > level + 1 for parts in paths):
        if len({parts[level] for parts in paths}) > 1:
            return level
        level += 1
    return 0


def _without_classes(tops: Sequence[str], count: int, is_split: bool) -> ClassFolders:
    note = FLAT
    if tops:
        what = "parts of the set" if is_split else "kinds of files"
        note = f"its folders, {', '.join(tops[:SHOWN])}, are taken as {what}, so its images have no classes"
    return ClassFolders((None,) * count, None, note, ())


def _describe(classes: Sequence[str], paths: Sequence[Parts], level: int) -> str:
    above = {"/".join(parts[:level]) for parts in paths if len(parts) > level + 1}
    where = f" of {above.pop()!r}" if level and len(above) == 1 else ""
    order = ", in the order of their numbers" if list(classes) != sorted(classes) else ""
    deeper = next((parts for parts in paths if len(parts) > level + 2), None)
    below = f"; what lies deeper, as in {'/'.join(deeper[: level + 2])!r}, belongs to them" if deeper else ""
    return f"the folders{where} as classes{order}: {describe_classes(classes)}{below}"
