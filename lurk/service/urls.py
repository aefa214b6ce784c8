"""Addresses of images: the only place that writes and reads them.

    /media/<index>/view/<image>                               an image as the network sees it
    /media/<index>/patch/<image>/<row0>_<col0>_<row1>_<col1>  the part of it that one position sees
    /media/<index>/sprite/<layer>/<page>/<content>            the tiles of 256 units
    /media/<index>/picture/<result>/<number>                  a drawn picture; with `/tile` as small as a tile
    /media/<index>/opacity/<result>/<number>                  how much each pixel of that picture matters
    /media/<index>/map/<result>/<mode>/<boost>/<gamma>        a map in a display mode
    …/c/<channels>                                            the same in other channels: three numbers, or one in grey
    /preview/<result>?<version>                               a picture that is still being drawn; `/c/…` before the `?`

They are paths of the application; the web package puts its path prefix before each `Address`.

What a media address names never changes. `<content>` and `<version>` change with what is to be seen, so that a browser
asks again.
"""

import re
from dataclasses import dataclass

from lurk.records import Box
from lurk.service.colormaps import BOOSTS, GAMMAS, MODES

MEDIA, PREVIEW = "/media/", "/preview/"

CHANNELS = re.compile(r"\d{1,2}(?:-\d{1,2}-\d{1,2})?")
_RESULT = r"([0-9a-f]{32})"
_PATTERNS = {
    "view": re.compile(r"view/(\d{1,10})"),
    "patch": re.compile(r"patch/(\d{1,10})/(-?\d{1,6})_(-?\d{1,6})_(-?\d{1,6})_(-?\d{1,6})"),
    "sprite": re.compile(rf"sprite/(\d{{1,6}})/(\d{{1,6}})/{_RESULT}"),
    "picture": re.compile(rf"picture/{_RESULT}/(\d{{1,3}})"),
    "tile": re.compile(rf"picture/{_RESULT}/(\d{{1,3}})/tile"),
    "opacity": re.compile(rf"opacity/{_RESULT}/(\d{{1,3}})"),
    "map": re.compile(rf"map/{_RESULT}/({'|'.join(MODES)})/({'|'.join(BOOSTS)})/({'|'.join(GAMMAS)})"),
}


class Address(str):
    """The path of an image, told apart from other texts."""

    __slots__ = ()


NO_ADDRESS = Address()


@dataclass(frozen=True)
class Media:
    """What a media address names.

    Args:
        index: Key of the index.
        kind: `view`, `patch`, `sprite`, `picture`, `tile`, `opacity` or `map`.
        parts: The rest of the address, in its order.
        channels: Three channels to be shown as colours, or one in grey; empty for the usual ones.
    """

    index: str
    kind: str
    parts: tuple[str, ...]
    channels: tuple[int, ...] = ()


def read_media(key: str) -> Media | None:
    """Read a media address without its `/media/`; returns None if it has none of the forms above."""
    address, channels = _split(key)
    index, _, rest = address.partition("/")
    if channels is None:
        return None
    for kind, pattern in _PATTERNS.items():
        match = pattern.fullmatch(rest)
        if match and index.isalnum():
            return Media(index, kind, match.groups(), channels)
    return None


def read_preview(key: str) -> tuple[str, tuple[int, ...]] | None:
    """Key of the result and channels of a preview's address without its `/preview/`; None if it is none."""
    result, channels = _split(key)
    return (result, channels) if result.isalnum() and channels is not None else None


def _split(key: str) -> tuple[str, tuple[int, ...] | None]:
    """An address without its channels, and these; None for what names no channels."""
    address, separator, chosen = key.partition("/c/")
    if not separator:
        return address, ()
    return address, tuple(map(int, chosen.split("-"))) if CHANNELS.fullmatch(chosen) else None


def in_channels(address: Address, channels: str) -> Address:
    """Address of the same image in other channels, such as `3-2-1` or `4`; the same address for none."""
    return Address(f"{address}/c/{channels}") if channels else address


def view_url(index: str, image: int) -> Address:
    """Address of an image as the network sees it."""
    return Address(f"{MEDIA}{index}/view/{image}")


def patch_url(index: str, image: int, box: Box) -> Address:
    """Address of a patch of an image."""
    return Address(f"{MEDIA}{index}/patch/{image}/{'_'.join(str(side) for side in box)}")


def sprite_url(index: str, layer: int, page: int, content: str) -> Address:
    """Address of the sprite of 256 units of a layer, by the layer's number and a hash of what is on the sprite."""
    return Address(f"{MEDIA}{index}/sprite/{layer}/{page}/{content}")


def picture_url(index: str, result: str, number: int = 0) -> Address:
    """Address of a drawn picture."""
    return Address(f"{MEDIA}{index}/picture/{result}/{number}")


def tile_url(index: str, result: str) -> Address:
    """Address of a drawn picture, as small as a tile of the grid."""
    return Address(picture_url(index, result) + "/tile")


def opacity_url(index: str, result: str, number: int) -> Address:
    """Address of a drawn picture's opacity."""
    return Address(f"{MEDIA}{index}/opacity/{result}/{number}")


def map_url(index: str, result: str) -> Address:
    """Address of a map, in which the scripts replace `{mode}`, `{boost}` and `{gamma}`."""
    return Address(f"{MEDIA}{index}/map/{result}/{{mode}}/{{boost}}/{{gamma}}")


def preview_url(result: str, version: str) -> Address:
    """Address of a picture that is still being drawn."""
    return Address(f"{PREVIEW}{result}?{version}")
