"""What an address names, looked up: a study, a layer, a unit, or an error that says what there is."""

from lurk.errors import LurkError
from lurk.records import LayerInfo
from lurk.service.service import Service
from lurk.service.study_view import StudyView
from lurk.service.unit_view import UnitView

API = "/api/v1"


def known_study(service: Service, study: str) -> StudyView:
    """A study by name.

    Args:
        service: Who knows the studies.
        study: The name.

    Returns:
        The study.

    Raises:
        LurkError: There is none of that name.
    """
    found = service.study(study)
    if found is None:
        names = ", ".join(view.name for view in service.studies()) or "none"
        raise LurkError(f"no study is called {study!r}; known are: {names}")
    return found


def known_layer(service: Service, study: str, layer: str) -> LayerInfo:
    """A layer of a study by name.

    Args:
        service: Who knows the layers.
        study: Name of the study.
        layer: Name of the layer.

    Returns:
        The layer.

    Raises:
        LurkError: There is none of that name.
    """
    known_study(service, study)
    found = {info.name: info for info in service.layers(study)}
    if layer not in found:
        raise LurkError(f"study {study!r} has no layer called {layer!r}; {API}/studies/{study}/layers lists them")
    return found[layer]


def known_unit(service: Service, study: str, layer: str, unit: int) -> UnitView:
    """A unit of a layer.

    Args:
        service: Who knows the units.
        study: Name of the study.
        layer: Name of the layer.
        unit: Channel number.

    Returns:
        The service's view of it.

    Raises:
        LurkError: There is none of that number.
    """
    info = known_layer(service, study, layer)
    if not 0 <= unit < info.units:
        raise LurkError(f"layer {layer!r} has units 0 to {info.units - 1}, not {unit}")
    return service.unit(study, layer, unit)
