"""What stands where an address leads nowhere: what is missing, and the way back."""

from functools import partial

from dash import Dash, Input, Output, dcc, html
from dash.development.base_component import Component

from lurk.errors import LurkError
from lurk.service.service import Service
from lurk.web.ui import ids
from lurk.web.ui.page_addresses import Place, find_layer, find_study, find_unit, read, write
from lurk.web.ui.panels import PANELS
from lurk.web.ui.path_prefix import inside, outside
from lurk.web.ui.request_body import name


def trouble(service: Service, place: Place) -> str:
    """Why an address cannot be shown; empty if it can, now or once its study's sweep has begun."""
    if place.page == "missing":
        return "there is nothing at this address"
    if place.study is None:
        return ""
    try:
        is_ready = find_study(service, place.study).ready
        if is_ready and place.unit is not None and place.layer is not None:
            find_unit(service, place.study, place.layer, place.unit)
        elif is_ready and place.layer is not None:
            find_layer(service, place.study, place.layer)
    except LurkError as error:
        return str(error)
    return ""


def message(service: Service, path: object, _ready: object, _studies: object) -> tuple[Component | None, bool]:
    """The message for an address, and whether it is hidden because the page can show the address."""
    place = read(inside(name(path or "/")))
    why = trouble(service, place)
    if not why:
        return None, True
    is_known = place.study is not None and service.study(place.study) is not None
    back = write(place.study) if is_known and place.study is not None else outside("/")
    words = "Back to the study" if is_known else "Back to the studies"
    parts = [html.H1("Not here"), html.P(why[:1].upper() + why[1:] + "."), dcc.Link(words, href=back)]
    return html.Div(parts, className="missing"), False


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
