"""Which samples of more than 8 bits are black and white in an image set, found by looking at some of its images."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import PurePath
from typing import Protocol, runtime_checkable

from lurk.errors import ImagesError
from lurk.images.decoding import Header
from lurk.images.deep_samples import FLAG, SampleRange, Samples, extremes, kind_of, range_of
from lurk.images.image_set import ImageSet, in_random_order

MOST_MEASURED = 100
NEVER_DEEP = frozenset((".jpg", ".jpeg", ".jfif", ".bmp", ".webp"))
NUMBER = r"[+-]?\d+\.?\d*(?:e[+-]?\d+)?"


@runtime_checkable
class DeepReader(Protocol):
    """A reader of images whose samples may have more than 8 bits."""

    @property
    def most_headers(self) -> int:
        """How many images are looked at."""

    def header(self, place: int) -> Header:
        """Look at an image without reading its samples."""

    def deep_samples(self, place: int) -> Samples | None:
        """The samples of an image that has more than 8 bits; None if it has 8."""

    def with_ranges(self, ranges: tuple[SampleRange, ...]) -> Callable[[int], object]:
        """A reader that shows samples by these ranges."""


def with_ranges(images: ImageSet, wanted: str | None) -> ImageSet:
    """Find which samples are black and white, so that a value looks the same in all images of a set.

    The same images are looked at each time and on each machine: the first few hundred in an order that depends on
    their paths alone. An image outside of what they hold is refused when it is read.

    Args:
        images: The image set.
        wanted: `LOW:HIGH`, if the user says which samples are black and white.

    Returns:
        The set, whose fingerprint contains the ranges, with a notice if they are not the usual ones.

    Raises:
        ImagesError: `wanted` is no such text, or the images have no files.
    """
    reader: object = images.reader
    given = None if wanted is None else _given(wanted)
    if not isinstance(reader, DeepReader):
        if given is not None:
            raise ImagesError("--sample-range is for files and data sets of pictures, not for preprocessed images")
        return images
    found, notes = ((given,), ()) if given is not None else _measured(images, reader)
    notices = [notice for notice in (images.notice, *(text for item, text in found if text)) if notice]
    ranges = tuple(item for item, _ in found)
    return replace(
        images,
        reader=reader.with_ranges(ranges),
        ranges=ranges,
        notes=(*images.notes, *notes),
        notice="; ".join(notices),
    )


def _given(wanted: str) -> tuple[SampleRange, str]:
    found = re.fullmatch(rf"({NUMBER}):({NUMBER})", wanted.strip(), re.IGNORECASE)
    if found is None or float(found[1]) >= float(found[2]):
        raise ImagesError(f"--sample-range {wanted!r} is to be LOW:HIGH, such as 0:4095, with LOW below HIGH")
    return SampleRange("", float(found[1]), float(found[2]), is_given=True), ""


def _measured(images: ImageSet, reader: DeepReader) -> tuple[list[tuple[SampleRange, str]], tuple[str, ...]]:
    """The range of each kind of samples with what has to be said of it, and notes on further pages."""
    numbers = in_random_order(images.paths)
    looked = [number for number in numbers if PurePath(images.paths[number]).suffix.lower() not in NEVER_DEEP]
    looked = looked[: reader.most_headers]
    headers = {number: header for number in looked if (header := _header(reader, images.places[number])) is not None}
    values: dict[str, list[tuple[float, float, bool]]] = {}
    for number in [number for number, header in headers.items() if header.is_deep][:MOST_MEASURED]:
        try:
            samples = reader.deep_samples(images.places[number])
            if samples is not None:
                values.setdefault(kind_of(samples), []).append(extremes(samples))
        except ImagesError:
            continue
    several = sum(header.has_more for header in headers.values())
    note = f"{several} of {len(headers)} files looked at have several pages or frames, of which the first is taken"
    ranges = [(range_of(kind, found), found) for kind, found in sorted(values.items())]
    return [(item, _notice(item, found)) for item, found in ranges], (note,) if several else ()


def _header(reader: DeepReader, place: int) -> Header | None:
    try:
        return reader.header(place)
    except ImagesError:
        return None


def _notice(item: SampleRange, found: list[tuple[float, float, bool]]) -> str:
    if item.is_usual:
        return ""
    low, high = min(low for low, _, _ in found), max(high for _, high, _ in found)
    return (
        f"{item.kind} samples from {item} are shown from black to white, since those of {len(found)} images are from "
        f"{low:g} to {high:g}; {FLAG} sets another range"
    )
