"""The only place that opens an image file; every file gives a picture or an ImagesError, whatever it holds."""

import stat
import struct
import warnings
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from lurk.errors import ImagesError
from lurk.images.deep_samples import SampleRange, Samples, is_deep, read_samples, shown
from lurk.images.other_formats import describe_unknown

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "PCX", "SGI")
BEGINNING = 256
MAX_PIXELS = 50_000_000
ORIENTATION = 0x0112
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
BOMB = (Image.DecompressionBombError, Image.DecompressionBombWarning)
DAMAGE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    ZeroDivisionError,
    MemoryError,
    RuntimeError,
    AssertionError,
    NotImplementedError,
    Warning,
    struct.error,
    zlib.error,
)

warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)


@dataclass(frozen=True)
class Header:
    """What the header of an image file says.

    Args:
        is_deep: Its samples have more than 8 bits, or are signed.
        has_more: It holds further pages or frames.
    """

    is_deep: bool
    has_more: bool


def decode(path: str | PathLike[str], ranges: Iterable[SampleRange] | None = None) -> Image.Image:
    """Read an image file.

    Args:
        path: A file of one of `FORMATS` of at most 50 megapixels; of several frames the first is used.
        ranges: Which samples of more than 8 bits are black and white, in the image set; None to find it in this file.

    Returns:
        The picture: mode RGB, upright, transparent parts on white, samples of more than 8 bits scaled to 8.

    Raises:
        ImagesError: The file is missing, of another format, too large or damaged; the message says which.
    """
    file = Path(path)
    with _opened(file) as opened:
        with closing(_Again(file)) as again:
            samples = read_samples(opened, again)
        picture = _loaded(opened) if samples is None else shown(samples, ranges)
        turn = _turn(opened)  # Pillow has already turned a TIFF that it has loaded
        return picture if turn is None else picture.transpose(turn)


def read_header(path: str | PathLike[str]) -> Header:
    """Read the header of an image file; an ImagesError says why that cannot be done."""
    with _opened(Path(path)) as opened:
        return Header(is_deep(opened), bool(getattr(opened, "is_animated", False)))


def read_deep(path: str | PathLike[str]) -> Samples | None:
    """Read the samples of an image file that has more than 8 bits; None if it has 8."""
    file = Path(path)
    with _opened(file) as opened, closing(_Again(file)) as again:
        return read_samples(opened, again)


class _Again:
    """Opens a file once more, and closes it."""

    def __init__(self, file: Path) -> None:
        self._file, self._opened = file, list[Image.Image]()

    def __call__(self) -> Image.Image:
        self._opened.append(Image.open(self._file, formats=FORMATS))
        return self._opened[-1]

    def close(self) -> None:
        for opened in self._opened:
            opened.close()


@contextmanager
def _opened(file: Path) -> Iterator[Image.Image]:
    """Open an image file; what fails while it is open is told in one line."""
    _check(file)
    try:
        with Image.open(file, formats=FORMATS) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                size = f"{opened.width}×{opened.height} pixels"
                raise ImagesError(f"has {size}, more than {MAX_PIXELS // 1_000_000} megapixels")
            yield opened
    except UnidentifiedImageError as error:
        raise ImagesError(describe_unknown(_beginning(file))) from error
    except BOMB as error:
        raise ImagesError(f"has more than {MAX_PIXELS // 1_000_000} megapixels") from error
    except DAMAGE as error:
        reason = (str(error).replace(str(file), "").strip().splitlines() or [""])[0] or type(error).__name__
        raise ImagesError(f"is damaged: {reason}") from error


def _beginning(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(BEGINNING)


def _check(file: Path) -> None:
    """Refuse a path that is no file with content; opening a pipe would wait for ever."""
    try:
        status = file.stat()
    except (OSError, ValueError) as error:
        missing = isinstance(error, FileNotFoundError)
        reason = "there is no such file" if missing else f"cannot be read: {getattr(error, 'strerror', error)}"
        raise ImagesError(reason) from error
    if not stat.S_ISREG(status.st_mode):
        raise ImagesError("is a folder" if stat.S_ISDIR(status.st_mode) else "is no regular file")
    if not status.st_size:
        raise ImagesError("is empty")


def _turn(picture: Image.Image) -> Image.Transpose | None:
    """The turn that makes a picture upright, as its EXIF data says; damaged EXIF data is ignored."""
    try:
        orientation = picture.getexif().get(ORIENTATION, 1)
    except DAMAGE:
        return None
    return TURNS.get(orientation) if isinstance(orientation, int) else None


def _loaded(opened: Image.Image) -> Image.Image:
    """The picture of a file, mode RGB; itself where it has that mode, which saves a copy of a large picture."""
    opened.load()
    return opened if opened.mode == "RGB" and "transparency" not in opened.info else to_rgb(opened)


def to_rgb(picture: Image.Image, ranges: Iterable[SampleRange] | None = None) -> Image.Image:
    """Convert a picture of any mode to RGB.

    Args:
        picture: The picture.
        ranges: Which samples of more than 8 bits are black and white; None to find it in this picture.

    Returns:
        Mode RGB: transparent parts on white, samples of more than 8 bits scaled to 8.
    """
    if picture.mode[0] in "IF":
        return shown(samples_of(picture), ranges)
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        full = picture.convert("LA").convert("RGBA") if picture.mode == "La" else picture.convert("RGBA")
        white = Image.new("RGBA", full.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, full).convert("RGB")
    return picture.copy() if picture.mode == "RGB" else picture.convert("RGB")


def samples_of(picture: Image.Image) -> Samples:
    """Samples of a picture of mode I;16, I or F: uint16, int32 or float32 (h, w)."""
    samples = np.asarray(picture)
    return samples.astype(np.uint16) if picture.mode.startswith("I;16") else samples
