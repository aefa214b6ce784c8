"""What stands where an address leads nowhere: what is missing, and the way back."""

from functools import partial

from dash import Dash, Input, Output, dcc, html
from dash.development.base_component import Component

from lurk.errors import LurkError
from lurk.service.service import Service
from lurk.web.ui import ids
from lurk.web.ui.callback_input import name
from lurk.web.ui.lookup import known_layer, known_study, known_unit
from lurk.web.ui.page_address import Place, read, write
from lurk.web.ui.panels import PANELS


def trouble(service: Service, place: Place) -> str:
    """Why a place cannot be shown.

    Args:
        service: Who knows what there is.
        place: What an address asks for.

    Returns:
        The reason in words; empty where it can be shown, now or when its study's sweep has begun.
    """
    if place.page == "missing":
        return "there is nothing at this address"
    if place.study is None:
        return ""
    try:
        is_ready = known_study(service, place.study).ready
        if is_ready and place.unit is not None and place.layer is not None:
            known_unit(service, place.study, place.layer, place.unit)
        elif is_ready and place.layer is not None:
            known_layer(service, place.study, place.layer)
    except LurkError as error:
        return str(error)
    return ""


def message(service: Service, path: object, _ready: object, _studies: object) -> tuple[Component | None, bool]:
    """The message for an address.

    Args:
        service: Who knows what there is.
        path: Path of the address as the page sent it.
        _ready: Whether the study has an index; a change looks anew.
        _studies: Names of the studies; a change looks anew.

    Returns:
        The message, and whether the rest of the page stands below it.
    """
    place = read(name(path or "/"))
    why = trouble(service, place)
    if not why:
        return None, True
    is_known = place.study is not None and service.study(place.study) is not None
    back = write(place.study) if is_known and place.study is not None else "/"
    words = "Back to the study" if is_known else "Back to the studies"
    shown = [html.H1("Not here"), html.P(why[:1].upper() + why[1:] + "."), dcc.Link(words, href=back)]
    return html.Div(shown, className="missing"), False


@PANELS.register("missing")
def register(app: Dash, service: Service) -> None:
    """Bind the panel to an app."""
    app.callback(
        Output(ids.MESSAGE, "children"),
        Output(ids.MESSAGE, "hidden"),
        Input(ids.URL, "pathname"),
        Input(ids.READY, "data"),
        Input(ids.STUDIES, "data"),
    )(partial(message, service))
