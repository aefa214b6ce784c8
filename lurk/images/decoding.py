"""The only place that opens an image file; every file gives a picture or an ImagesError, whatever it holds."""

import stat
import struct
import warnings
import zlib
from os import PathLike
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from lurk.errors import ImagesError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
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


def decode(path: str | PathLike[str]) -> Image.Image:
    """Read an image file.

    Args:
        path: A JPEG, PNG, WebP, GIF, BMP or TIFF file of at most 50 megapixels; of several frames the first is used.

    Returns:
        The picture: mode RGB, upright, transparent parts on white, samples of more than 8 bits scaled to 8.

    Raises:
        ImagesError: The file is missing, of another format, too large or damaged; the message says which.
    """
    file = Path(path)
    _check(file)
    try:
        with Image.open(file, formats=FORMATS) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                size = f"{opened.width}×{opened.height} pixels"
                raise ImagesError(f"has {size}, more than {MAX_PIXELS // 1_000_000} megapixels")
            opened.load()
            return to_rgb(_upright(opened))
    except UnidentifiedImageError as error:
        raise ImagesError("is no JPEG, PNG, WebP, GIF, BMP or TIFF, or its beginning is damaged") from error
    except BOMB as error:
        raise ImagesError(f"has more than {MAX_PIXELS // 1_000_000} megapixels") from error
    except DAMAGE as error:
        reason = (str(error).replace(str(file), "").strip().splitlines() or [""])[0] or type(error).__name__
        raise ImagesError(f"is damaged: {reason}") from error


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


def _upright(picture: Image.Image) -> Image.Image:
    """Turn a picture as its EXIF data says; damaged EXIF data is ignored."""
    try:
        orientation = picture.getexif().get(ORIENTATION, 1)
    except DAMAGE:
        return picture
    turn = TURNS.get(orientation) if isinstance(orientation, int) else None
    return picture if turn is None else picture.transpose(turn)


def to_rgb(picture: Image.Image) -> Image.Image:
    """Convert a picture of any mode to RGB.

    Args:
        picture: The picture.

    Returns:
        Mode RGB: transparent parts on white, samples of more than 8 bits scaled to 8.
    """
    if picture.mode.startswith("I;16"):
        samples = np.asarray(picture).astype(np.uint32)
        return Image.fromarray(((samples + 128) // 257).astype(np.uint8)).convert("RGB")
    if picture.mode in ("I", "F"):
        return Image.fromarray(_scaled(np.asarray(picture).astype(np.float64))).convert("RGB")
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        full = picture.convert("LA").convert("RGBA") if picture.mode == "La" else picture.convert("RGBA")
        white = Image.new("RGBA", full.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, full).convert("RGB")
    return picture.copy() if picture.mode == "RGB" else picture.convert("RGB")


def _scaled(
    samples: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Samples as 8 bits: the range is 0 to 1, 255 or 65535 if they fit into it, else from the least to the greatest."""
    known = samples[np.isfinite(samples)]
    if not known.size:
        raise ImagesError("holds no finite sample")
    low, high = float(known.min()), float(known.max())
    if low < 0 or high > 65535:
        samples, top = samples - low, high - low
    else:
        top = next(limit for limit in (1.0, 255.0, 65535.0) if high <= limit)
    scaled = np.nan_to_num(samples * (255 / (top or 1.0)), nan=0.0, posinf=255.0, neginf=0.0)
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
