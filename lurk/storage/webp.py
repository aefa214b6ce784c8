"""Images as the page shows them, in WebP, and sprites of their tiles in JPEG. Torch-free.

A *view* is the preprocessed input as 8-bit samples: uint8 (h, w, s), with s = 3 for colours and 1 for grey. A view with
another number of samples, such as the bands of a satellite, is kept as a sheet of grey planes, side by side in rows;
its file says how many there are. Three of them are shown as red, green and blue, or one in grey.
"""

import io
import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from lurk.records import Box

View = np.ndarray[Any, np.dtype[np.uint8]]
PADDING_GREY = 128
FORMAT, MIMETYPE, SPRITE_MIMETYPE = "WEBP", "image/webp", "image/jpeg"
COLOURS = (1, 3)


def to_view(picture: np.ndarray[Any, np.dtype[np.float32]]) -> View:
    """Turn a picture, float32 (s, h, w) in [0, 1], into 8-bit samples: uint8 (h, w, s)."""
    samples = picture * 255
    np.clip(np.rint(samples, out=samples), 0, 255, out=samples)
    view: View = samples.astype(np.uint8).transpose(1, 2, 0)
    return view


def shown(view: View, channels: Sequence[int] = ()) -> View:
    """The channels of a view that are shown.

    Args:
        view: uint8 (h, w, s).
        channels: Three numbers of channels, shown as red, green and blue, or one, shown in grey; by default the first
            three, or the first if there are fewer.

    Returns:
        uint8 (h, w, 3) or (h, w, 1).

    Raises:
        ValueError: The view has no such channel.
    """
    count = view.shape[2]
    if any(channel >= count for channel in channels):
        raise ValueError(f"a view of {count} channels has no channels {channels}")
    if not channels and count in COLOURS:
        return view
    return view[:, :, list(channels or (0, 1, 2)[: 3 if count >= 3 else 1])]


def is_sheet(data: bytes) -> bool:
    """Whether a view is kept as a sheet of planes, so that it has to be made into something to look at."""
    with Image.open(io.BytesIO(data), formats=[FORMAT]) as picture:
        return _planes(picture) is not None


def sheet(view: View) -> View:
    """The channels of a view in grey, side by side in rows: uint8 (rows * h, columns * w, 1)."""
    height, width, count = view.shape
    columns = math.ceil(math.sqrt(count))
    rows = -(-count // columns)
    planes = np.zeros((rows * columns, height, width), np.uint8)
    planes[:count] = view.transpose(2, 0, 1)
    laid = planes.reshape(rows, columns, height, width).transpose(0, 2, 1, 3)
    return laid.reshape(rows * height, columns * width, 1)


def _cut(laid: View, count: int) -> View:
    """The view, uint8 (h, w, count), that a sheet, uint8 (rows * h, columns * w), was made of."""
    columns = math.ceil(math.sqrt(count))
    rows = -(-count // columns)
    height, width = laid.shape[0] // rows, laid.shape[1] // columns
    planes = laid.reshape(rows, height, columns, width).transpose(0, 2, 1, 3).reshape(-1, height, width)
    return planes[:count].transpose(1, 2, 0)


def _planes(picture: Image.Image) -> int | None:
    """Number of planes of a sheet; None if the picture is none."""
    found = re.fullmatch(rb"planes=(\d{1,3})", picture.info.get("xmp", b""))
    return int(found[1]) if found else None


def encode_view(view: View) -> bytes:
    """Write a view as WebP, without loss."""
    count = view.shape[2]
    if count in COLOURS:
        return _encode(_picture(view), lossless=True, quality=20, method=0)
    return _encode(_picture(sheet(view)), lossless=True, quality=20, method=0, xmp=b"planes=%d" % count)


def encode_picture(picture: View, quality: int = 90) -> bytes:
    """Write a picture as WebP with loss: uint8 (h, w, 1), (h, w, 3) or with opacity (h, w, 4); `quality` to 100."""
    return _encode(Image.fromarray(picture) if picture.shape[2] == 4 else _picture(picture), quality=quality, method=2)


def encode_png(picture: View) -> bytes:
    """Write a picture as PNG, without loss, for other programs; with other than 1 or 3 channels as a `sheet`."""
    out = io.BytesIO()
    _picture(picture if picture.shape[2] in COLOURS else sheet(picture)).save(out, "PNG")
    return out.getvalue()


def decode_view(data: bytes, channels: int) -> View:
    """Read a view back, all its channels; `channels` is the network's number of them, grey below 3."""
    with Image.open(io.BytesIO(data), formats=[FORMAT]) as picture:
        planes = _planes(picture)
        view: View = np.asarray(picture.convert("RGB" if channels >= 3 and planes is None else "L"))
    return view.reshape(*view.shape[:2], -1) if planes is None else _cut(view, planes)


def patch(view: View, box: Box) -> View:
    """Cut a box out of a view; the part outside of the view is grey.

    Args:
        view: uint8 (h, w, c).
        box: Half-open (row0, col0, row1, col1) in pixels; a side longer than the view is cut to it.

    Returns:
        uint8 (rows, columns, c).
    """
    row0, col0, row1, col1 = shown_box(box, view.shape[0], view.shape[1])
    cut = np.full((row1 - row0, col1 - col0, view.shape[2]), PADDING_GREY, np.uint8)
    top, left = max(row0, 0), max(col0, 0)
    inside = view[top : max(row1, 0), left : max(col1, 0)]
    cut[top - row0 : top - row0 + inside.shape[0], left - col0 : left - col0 + inside.shape[1]] = inside
    return cut


def shown_box(box: Box, height: int, width: int) -> Box:
    """The part of a box that is drawn: a side that is longer than the view is cut to the view."""
    row0, col0, row1, col1 = box
    if row1 - row0 > height:
        row0, row1 = max(row0, 0), min(row1, height)
    if col1 - col0 > width:
        col0, col1 = max(col0, 0), min(col1, width)
    return row0, col0, row1, col1


def encode_patch(view: View, least: int = 96) -> bytes:
    """Write a patch as WebP. Small patches are enlarged by a whole number, so that their pixels stay sharp squares."""
    picture = _picture(view)
    times = max(1, -(-least // max(picture.size)))
    if times > 1:
        picture = picture.resize((picture.width * times, picture.height * times), Image.Resampling.NEAREST)
    return _encode(picture, quality=90, method=2)


def thumbnail(view: View, side: int) -> View:
    """Fit a patch into a square, keeping its proportions; the rest of the square is grey.

    Args:
        view: uint8 (h, w, c).
        side: Side of the square in pixels.

    Returns:
        uint8 (side, side, 3).
    """
    picture = _picture(view)
    scale = side / max(picture.size)
    small = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    filter_ = Image.Resampling.NEAREST if scale >= 2 else Image.Resampling.BILINEAR
    square = Image.new("RGB", (side, side), (PADDING_GREY,) * 3)
    square.paste(picture.resize(small, filter_), ((side - small[0]) // 2, (side - small[1]) // 2))
    tile: View = np.asarray(square)
    return tile


def encode_sprite(tiles: Sequence[View | None], side: int, columns: int) -> bytes:
    """Lay square tiles out row by row, left to right, and write them as one image.

    Args:
        tiles: uint8 (side, side, 3) each, None for an empty place.
        side: Side of a tile in pixels.
        columns: Tiles a row.

    Returns:
        A JPEG file's bytes, with all samples of colour: two tiles of other colours meet at every edge.
    """
    rows = -(-len(tiles) // columns)
    sheet = np.full((rows * side, columns * side, 3), PADDING_GREY, np.uint8)
    for place, tile in enumerate(tiles):
        if tile is not None:
            row, col = divmod(place, columns)
            sheet[row * side : (row + 1) * side, col * side : (col + 1) * side] = tile
    out = io.BytesIO()
    _picture(sheet).save(out, "JPEG", quality=85, subsampling=0)
    return out.getvalue()


def _picture(view: View) -> Image.Image:
    view = shown(view)
    return Image.fromarray(np.repeat(view, 3, axis=2) if view.shape[2] == 1 else view)


def _encode(picture: Image.Image, **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, FORMAT, **options)
    return out.getvalue()
