"""The addresses of the page: a path is read into a place, a place is written as a path."""

from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, unquote


@dataclass(frozen=True)
class Place:
    """What an address shows.

    Args:
        page: `home`, `study`, `jobs`, or `missing` for an address that the page does not have.
        study: Name of the study.
        layer: Name of the layer, None for the study's first.
        unit: Channel number, None where no modal is open.
    """

    page: Literal["home", "study", "jobs", "missing"]
    study: str | None = None
    layer: str | None = None
    unit: int | None = None


MISSING = Place("missing")
LONGEST_NUMBER = 9


def read(path: str) -> Place:
    """Read an address.

    >>> read("/s/birds/layer1.0.conv1/12")
    Place(page='study', study='birds', layer='layer1.0.conv1', unit=12)

    Args:
        path: Path of the address, its parts percent-encoded.

    Returns:
        What it shows; nothing is said of whether it exists.
    """
    parts = [unquote(part) for part in path.strip("/").split("/")]
    if parts == [""]:
        return Place("home")
    if parts == ["jobs"]:
        return Place("jobs")
    if parts[0] != "s" or not 2 <= len(parts) <= 4 or "" in parts:
        return MISSING
    if len(parts) < 4:
        return Place("study", parts[1], parts[2] if len(parts) > 2 else None)
    number = parts[3]
    if not (number.isascii() and number.isdigit() and len(number) <= LONGEST_NUMBER):
        return MISSING
    return Place("study", parts[1], parts[2], int(number))


def write(study: str, layer: str | None = None, unit: int | None = None) -> str:
    """Write the address of a study, a layer or a unit.

    >>> write("birds", "layer1.0.conv1", 12)
    '/s/birds/layer1.0.conv1/12'
    """
    parts = [study] if layer is None else [study, layer] if unit is None else [study, layer, str(unit)]
    return "/s/" + "/".join(quote(part, safe="") for part in parts)
