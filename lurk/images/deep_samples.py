"""Samples of more than 8 bits: reading them, their range, and showing them with 8 bits.

A file of 16 bits often uses 10 or 12 of them, and floating-point samples may be of any size. What is black and white is
therefore found once for all files of an image set, so that a value looks the same in all of them.
"""

import math
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from lurk.errors import ImagesError

Samples = np.ndarray[tuple[int, ...], np.dtype[Any]]
WIDE = re.compile(r"(?P<colours>RGB|RGBA|RGBX|LA);16(?P<order>[LBN])")
PLANES = frozenset("RGBA")
BITS_PER_SAMPLE, SAMPLE_FORMAT, PLANAR = 258, 339, 284
UNSIGNED, SIGNED = 1, 2
ROWS = 256
FLAG = "--sample-range LOW:HIGH"


@dataclass(frozen=True)
class SampleRange:
    """Which samples are shown black and white.

    Args:
        kind: `16-bit`, `whole-number` or `floating-point` samples; empty for all.
        low: The sample that is shown black.
        high: The sample that is shown white.
        is_given: The user gave it: what lies outside is black or white. Else a file with such samples is refused.
    """

    kind: str
    low: float
    high: float
    is_given: bool = False

    @property
    def is_usual(self) -> bool:
        """Whether it is the whole range of the kind, of which nothing has to be said."""
        return (self.low, self.high) in ((0, 1), (0, 65535)) and not self.is_given

    def __str__(self) -> str:
        return f"{self.low:.10g} to {self.high:.10g}"


def kind_of(samples: Samples) -> str:
    """The kind of samples that share a range."""
    if samples.dtype.kind == "f":
        return "floating-point"
    return "16-bit" if samples.dtype == np.uint16 else "whole-number"


def extremes(samples: Samples) -> tuple[float, float, bool]:
    """Least and greatest finite sample, without transparency, and whether all are whole numbers.

    Args:
        samples: Any number type (h, w) or (h, w, c).

    Returns:
        The least, the greatest, and whether all are whole.

    Raises:
        ImagesError: No sample is finite.
    """
    colours = _colours(samples)
    known = colours[np.isfinite(colours)] if colours.dtype.kind == "f" else colours
    if not known.size:
        raise ImagesError("holds no finite sample")
    is_whole = known.dtype.kind != "f" or bool(np.all(known == np.floor(known)))
    return float(known.min()), float(known.max()), is_whole


def range_of(kind: str, found: Iterable[tuple[float, float, bool]]) -> SampleRange:
    """The range that holds some samples: 0 to 1, the bits in use (8, 10, 12, 14, 16, …), or powers of two.

    Args:
        kind: The kind of the samples.
        found: What `extremes` gives, for each file.

    Returns:
        Low is 0 unless a sample is negative.
    """
    lows, highs, wholes = zip(*found, strict=True)
    low, high = min(lows), max(highs)
    if high <= 1 and low >= -1:
        return SampleRange(kind, -1.0 if low < 0 else 0.0, 1.0)
    bits = int(max(high, 0)).bit_length()
    top = float(2 ** (bits if bits < 8 else bits + bits % 2) - 1) if all(wholes) else _power(high)
    return SampleRange(kind, 0.0 - _power(-low), top)


def _power(value: float) -> float:
    """The least power of two that is not smaller; 0 for a value that is not above 0."""
    return 2.0 ** math.ceil(math.log2(value)) if value > 0 else 0.0


def shown(samples: Samples, ranges: Iterable[SampleRange] | None) -> Image.Image:
    """Show samples with 8 bits.

    Args:
        samples: Any number type (h, w), or (h, w, c): 2 channels are grey and transparency, 4 colours and transparency.
        ranges: The ranges of the image set; None for that of these samples alone.

    Returns:
        Mode RGB, transparent parts on white; what is not finite is black, or white if it is positive infinity.

    Raises:
        ImagesError: The ranges have none for these samples, or they lie outside.
    """
    kind = kind_of(samples)
    low, high, is_whole = extremes(samples)
    if ranges is None:
        chosen = range_of(kind, [(low, high, is_whole)])
    else:
        known = next((item for item in ranges if item.kind in ("", kind)), None)
        if known is None or (not known.is_given and not known.low <= low <= high <= known.high):
            others = f"the files looked at have {known}" if known else "the files looked at have 8 bits"
            raise ImagesError(f"has {kind} samples from {low:g} to {high:g}, and {others}; say {FLAG}")
        chosen = known
    colours = Image.fromarray(_scaled(_colours(samples), chosen)).convert("RGB")
    if samples.ndim == 2 or samples.shape[2] % 2:
        return colours
    alpha = samples[..., -1]
    opaque = chosen.high if alpha.max() <= chosen.high else 65535
    white = Image.new("RGB", colours.size, (255, 255, 255))
    return Image.composite(colours, white, Image.fromarray(_scaled(alpha, SampleRange(kind, 0, opaque))))


def _colours(samples: Samples) -> Samples:
    """The samples without transparency."""
    if samples.ndim == 2:
        return samples
    return samples[..., 0] if samples.shape[2] <= 2 else samples[..., :3]


def _scaled(samples: Samples, chosen: SampleRange) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Samples as 8 bits, some rows at a time, since their float64 numbers take eight times as much memory."""
    scaled = np.empty(samples.shape, np.uint8)
    for row in range(0, len(samples), ROWS):
        rows = samples[row : row + ROWS].astype(np.float64)
        spread = (rows - chosen.low) * 255 / ((chosen.high - chosen.low) or 1)
        known = np.nan_to_num(spread, nan=0.0, posinf=255.0, neginf=0.0)
        scaled[row : row + ROWS] = np.clip(np.rint(known), 0, 255)
    return scaled


def is_deep(opened: Image.Image) -> bool:
    """Whether a picture that is open and not yet loaded has samples of more than 8 bits, or signed ones."""
    return opened.mode[0] in "IF" or _is_signed_grey(opened) or bool(_wide(opened)) or _is_planar(opened)


def read_samples(opened: Image.Image, reopen: Callable[[], Image.Image]) -> Samples | None:
    """Samples of a picture that is open and not yet loaded.

    Pillow keeps the upper 8 bits of colours of 16. So the file is read twice, the second time with its bytes taken in
    the other order, which gives the lower 8 bits.

    Args:
        opened: The picture.
        reopen: Opens it again.

    Returns:
        uint16, int8, int32, uint32 or float32 (h, w), or uint16 (h, w, c); None if it has 8 unsigned bits.

    Raises:
        ImagesError: Its samples are in an order that is not read.
    """
    if not is_deep(opened):
        return None
    if opened.mode.startswith("I;16"):
        return np.asarray(opened).astype(np.uint16)
    if opened.mode == "I":
        is_unsigned = _raw_mode(opened) == "I;32N" and opened.format == "TIFF"
        return np.asarray(opened).view(np.uint32) if is_unsigned else np.asarray(opened)
    if opened.mode == "F":
        return np.asarray(opened)
    return np.asarray(opened).view(np.int8) if opened.mode == "L" else _deep_colours(opened, reopen)


def _deep_colours(opened: Image.Image, reopen: Callable[[], Image.Image]) -> Samples:
    raw = _raw_mode(opened)
    wide = WIDE.fullmatch(raw)
    if opened.format == "TIFF" and _tag(opened, PLANAR) == 2 and wide:
        raise ImagesError("is a compressed TIFF of 16 bits with a plane a colour; save it with interleaved colours")
    if wide and wide["colours"] == "LA":
        _decode_as(opened, lambda _: "RGBA")
        data = np.asarray(opened).astype(np.uint16)
        return data[..., 0::2] * 256 + data[..., 1::2]
    own = wide["order"] if wide else "L" if opened.tag_v2.prefix == b"II" else "B"  # type: ignore[attr-defined]  # a TIFF
    if own == "N":
        own = "L" if sys.byteorder == "little" else "B"
    other = "B" if own == "L" else "L"
    low = reopen()
    _decode_as(opened, lambda mode: f"{mode.partition(';')[0]};16{own}")
    _decode_as(low, lambda mode: f"{mode.partition(';')[0]};16{other}")
    samples: Samples = np.asarray(opened).astype(np.uint16) * 256 + np.asarray(low)
    return samples


def _decode_as(opened: Image.Image, change: Callable[[str], str]) -> None:
    """Change how the bytes of a picture that is not yet loaded are to be taken."""
    changed = []
    for tile in opened.tile:  # type: ignore[attr-defined]  # what is opened is a file
        args = tile.args if isinstance(tile.args, tuple) else (tile.args,)
        new = (change(args[0]), *args[1:])
        changed.append(tile._replace(args=new if isinstance(tile.args, tuple) else new[0]))
    opened.tile = changed  # type: ignore[attr-defined]  # as above


def _raw_mode(opened: Image.Image) -> str:
    tiles = getattr(opened, "tile", None)
    args = tiles[0].args if tiles else ""
    return str(args[0] if isinstance(args, tuple) and args else args)


def _wide(opened: Image.Image) -> re.Match[str] | None:
    return WIDE.fullmatch(_raw_mode(opened)) if opened.mode in ("RGB", "RGBA") else None


def _tag(opened: Image.Image, number: int) -> Any:
    tags = getattr(opened, "tag_v2", {})
    value = tags.get(number)
    return value[0] if isinstance(value, tuple) and value else value


def _is_planar(opened: Image.Image) -> bool:
    """Whether it is a TIFF of 16 bits with a plane for each colour, which Pillow reads as if it had 8."""
    return _raw_mode(opened) in PLANES and _tag(opened, BITS_PER_SAMPLE) == 16


def _is_signed_grey(opened: Image.Image) -> bool:
    return opened.mode == "L" and _tag(opened, SAMPLE_FORMAT) == SIGNED
