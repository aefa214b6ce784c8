"""The grid of a layer's units: its data; the scripts draw it from sprites, or from the pictures of the units."""

from functools import partial
from typing import Any

import dash_bootstrap_components as dbc
from dash import Dash, Input, Output, html
from dash.development.base_component import Component
from werkzeug.exceptions import BadRequest

from lurk.errors import LurkError
from lurk.service.service import Service
from lurk.web.ui import ids
from lurk.web.ui.clientside import attributes, bind
from lurk.web.ui.panels import PANELS, heading
from lurk.web.ui.request_body import name
from lurk.web.ui.responses import plain

ORDERS = {
    "unit": "unit number",
    "max": "highest score",
    "selectivity": "one class most",
    "sparsity": "rarest first",
}
HELP = (
    "Each tile is one unit of the layer, and shows the piece of an image that excites it most. Choose one to see what "
    "else does.\n"
    "“One class most” puts first the units that answer to one class far more than to all others: (best class − mean of "
    "the rest) / (|best class| + |mean of the rest|). “Rarest first” puts first the units that are above 0 at the "
    "fewest positions.\n"
    "A hatched tile is a unit that no image excites: it is dead, never active on these images, or it always has the "
    "same value. A bar below a tile marks a unit that is always on, or saturated.\n"
    "“Pictures” draws, for the units in view, the picture that excites each of them, and shows it in place of the "
    "piece of an image."
)


def layout() -> Component:
    """The panel, its tiles drawn by the scripts."""
    sort = html.Div(
        [
            html.Label("Order by", htmlFor=ids.GRID_SORT),
            dbc.Select(
                id=ids.GRID_SORT,
                size="sm",
                value="unit",
                options=[{"value": value, "label": label} for value, label in ORDERS.items()],
            ),
        ],
        className="sort",
    )
    return html.Section(
        [
            heading(
                "Units",
                HELP,
                html.Span(id=ids.GRID_NOTE, className="note"),
                html.Div(id=ids.GRID_SHOWS, className="grid-shows"),
                sort,
            ),
            html.Div(id=ids.GRID, className="grid", role="group", **attributes("Units of the layer")),
        ],
        className="units",
        **attributes("Units"),
    )


def data(service: Service, place: object, sort: object, serial: object) -> dict[str, Any] | None:
    """What the scripts draw the grid from: the service's grid with study, sort and serial; None without a grid."""
    if name(sort) not in ORDERS:
        raise BadRequest(f"the units cannot be put in order by {str(sort)[:40]!r}")
    if not isinstance(place, dict):
        return None
    study, layer = name(place.get("study")), name(place.get("layer"))
    try:
        return {**plain(service.grid(study, layer, str(sort))), "study": study, "sort": sort, "serial": serial}
    except LurkError:
        return None


@PANELS.register("grid")
def register(app: Dash, service: Service) -> None:
    """Bind the panel to an app."""
    app.callback(
        Output(ids.GRID_DATA, "data"),
        Input(ids.LAYER, "data"),
        Input(ids.GRID_SORT, "value"),
        Input(ids.SERIAL, "data"),
    )(partial(data, service))
    bind(
        app,
        "drawGrid",
        Output(ids.GRID_NOTE, "children"),
        Input(ids.GRID_DATA, "data"),
        Input(ids.LAYER, "data"),
        Input(ids.UNIT, "data"),
        Input(ids.CHANNELS, "data"),
    )
