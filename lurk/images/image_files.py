"""Image files on disk: lists those of a folder, and makes the stamp that shows whether a file has changed."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from lurk.errors import ImagesError
from lurk.images.class_folders import Parts, find_classes
from lurk.images.decoding import Header, decode, read_deep, read_header
from lurk.images.deep_samples import SampleRange, Samples
from lurk.images.image_set import ImageSet

COMPANIONS = (
    ".txt .md .rst .csv .tsv .json .jsonl .xml .yaml .yml .toml .cfg .ini .log .html .htm .css .js .py .ipynb .sh .m "
    ".mat .npy .npz .pkl .pt .pth .h5 .hdf5 .parquet .db .sqlite .zip .tar .gz .tgz .bz2 .xz .7z .rar .pdf .doc .docx "
    ".xls .xlsx .lnk .url .part .crdownload .sha256 .md5 .onnx .safetensors .ckpt "
    ".tfrecord .tfrecords .arrow .feather .mdb"
)
COMPANION_SUFFIXES = frozenset(COMPANIONS.split())
COMPANION_NAMES = frozenset(
    ("readme", "license", "licence", "copying", "thumbs.db", "desktop.ini", "icon\r", "makefile")
)
MOST_HEADERS = 300
SYSTEM_FOLDERS = frozenset(
    ("__MACOSX", "__pycache__", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found")
)


@dataclass(frozen=True)
class FileReader:
    """Reads the images of files by their place in a list.

    Args:
        root: Folder that the paths are relative to.
        paths: Path of each file.
        ranges: Which samples of more than 8 bits are black and white; None to find it in each file.
    """

    root: Path
    paths: tuple[str, ...]
    ranges: tuple[SampleRange, ...] | None = None

    def __call__(self, place: int) -> Image.Image:
        """Read an image: mode RGB, upright."""
        return decode(self.root / self.paths[place], self.ranges)

    @property
    def most_headers(self) -> int:
        """How many files are looked at to find the ranges."""
        return MOST_HEADERS

    def header(self, place: int) -> Header:
        """Read the header of a file."""
        return read_header(self.root / self.paths[place])

    def deep_samples(self, place: int) -> Samples | None:
        """Samples of a file that has more than 8 bits; None if it has 8."""
        return read_deep(self.root / self.paths[place])

    def with_ranges(self, ranges: tuple[SampleRange, ...]) -> "FileReader":
        """The reader of the same files that shows samples by these ranges."""
        return replace(self, ranges=ranges)


def list_folder(root: Path, name: str = "") -> ImageSet:
    """List a folder's images, sorted by path; hidden files and files that are no images are left out.

    Args:
        root: The folder; `find_classes` says which of its sub-folders are classes.
        name: Name of the set; by default that of the folder.

    Returns:
        The image set.

    Raises:
        ImagesError: The folder cannot be read or holds no image.
    """
    found: list[tuple[Parts, str]] = []
    folders: list[Parts] = []
    try:
        _walk(root, (), (), found, folders)
    except OSError as error:
        raise ImagesError(f"--data {str(root)!r}: cannot be read: {error.strerror}") from error
    if not found:
        raise ImagesError(f"--data {str(root)!r}: there are no images in it")
    found.sort()
    paths = tuple(parts for parts, _ in found)
    names = tuple("/".join(parts) for parts in paths)
    classes = find_classes(paths, folders)
    return ImageSet(
        name or root.resolve().name or str(root),
        names,
        classes.labels,
        classes.classes,
        FileReader(root, names),
        tuple(stamp for _, stamp in found),
        tuple(range(len(found))),
        classes.note,
        classes.notes,
        root.resolve(),
    )


def _walk(
    folder: Path,
    below: Parts,
    above: tuple[tuple[int, int], ...],
    found: list[tuple[Parts, str]],
    folders: list[Parts],
) -> None:
    """Collect images and folders below a folder; a link to a folder that contains it is not followed."""
    status = folder.stat()
    here = (status.st_dev, status.st_ino)
    if here in above:
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            parts = (*below, entry.name)
            if entry.name.startswith(".") or entry.name in SYSTEM_FOLDERS:
                continue
            if _is_folder(entry):
                folders.append(parts)
                _walk(folder / entry.name, parts, (*above, here), found, folders)
            elif is_candidate(entry.name):
                found.append((parts, stamp(folder / entry.name)))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def is_candidate(name: str) -> bool:
    """Whether a file of that name may be an image: it is none of the files that usually lie beside images."""
    stem, suffix = os.path.splitext(name.lower())  # noqa: PTH122 - a path object a file is slow
    return (
        suffix not in COMPANION_SUFFIXES
        and name.lower() not in COMPANION_NAMES
        and (bool(suffix) or stem not in COMPANION_NAMES)
    )


def stamp(file: Path) -> str:
    """Size in bytes and time of the last change in nanoseconds, or `missing` if there is no such file."""
    try:
        status = file.stat()
    except (OSError, ValueError):
        return "missing"
    return f"{status.st_size}:{status.st_mtime_ns}"
