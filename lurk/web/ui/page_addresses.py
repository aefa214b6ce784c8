"""The addresses of the page and of the JSON API: written, read, and looked up in the service."""

from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, unquote

from lurk.errors import LurkError
from lurk.records import LayerInfo
from lurk.service.service import Service
from lurk.service.study_view import StudyView
from lurk.service.unit_view import UnitView
from lurk.web.ui.path_prefix import outside

API = "/api/v1"
LONGEST_NUMBER = 9


@dataclass(frozen=True)
class Place:
    """What an address shows.

    Args:
        page: `home`, `study`, `jobs`, or `missing` for an address that the page does not have.
        study: Name of the study.
        layer: Name of the layer, None for the study's first.
        unit: Channel number, None if no modal is open.
    """

    page: Literal["home", "study", "jobs", "missing"]
    study: str | None = None
    layer: str | None = None
    unit: int | None = None


MISSING = Place("missing")


def read(path: str) -> Place:
    """Read an address.

    >>> read("/s/birds/layer1.0.conv1/12")
    Place(page='study', study='birds', layer='layer1.0.conv1', unit=12)

    Args:
        path: Path of the address without the path prefix, its parts percent-encoded.

    Returns:
        What it shows; whether that exists is not checked.
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
    """Write the address of a study, a layer or a unit, for the browser.

    >>> write("birds", "layer1.0.conv1", 12)
    '/s/birds/layer1.0.conv1/12'
    """
    parts = [study] if layer is None else [study, layer] if unit is None else [study, layer, str(unit)]
    return outside("/s/" + "/".join(quote(part, safe="") for part in parts))


def find_study(service: Service, study: str) -> StudyView:
    """The study of that name; raises a LurkError that lists the studies if there is none."""
    found = service.study(study)
    if found is None:
        names = ", ".join(view.name for view in service.studies()) or "none"
        raise LurkError(f"no study is called {study!r}; known are: {names}")
    return found


def find_layer(service: Service, study: str, layer: str) -> LayerInfo:
    """The layer of that name; raises a LurkError if there is no such study or layer."""
    find_study(service, study)
    found = {info.name: info for info in service.layers(study)}
    if layer not in found:
        listed = outside(f"{API}/studies/{study}/layers")
        raise LurkError(f"study {study!r} has no layer called {layer!r}; {listed} lists them")
    return found[layer]


def find_unit(service: Service, study: str, layer: str, unit: int) -> UnitView:
    """The unit of that number; raises a LurkError if there is no such study, layer or unit."""
    info = find_layer(service, study, layer)
    if not 0 <= unit < info.units:
        raise LurkError(f"layer {layer!r} has units 0 to {info.units - 1}, not {unit}")
    return service.unit(study, layer, unit)
