"""The images that could not be used, each with its reason; shown on demand."""

from functools import partial
from typing import Any

import dash_bootstrap_components as dbc
from dash import Dash, Input, Output, State, html
from dash.development.base_component import Component

from lurk.service.service import Service
from lurk.web.ui import ids
from lurk.web.ui.panels import PANELS
from lurk.web.ui.request_body import name

MOST = 1000


def layout() -> Component:
    """The list, closed and empty."""
    modal: Component = dbc.Modal(
        [dbc.ModalHeader(dbc.ModalTitle("Images that could not be used")), dbc.ModalBody(id=ids.SKIPPED_BODY)],
        id=ids.SKIPPED_MODAL,
        is_open=False,
        size="lg",
        scrollable=True,
        fade=False,
        class_name="skipped-modal",
    )
    return modal


def listed(service: Service, clicks: object, study: object) -> tuple[bool, Component | str]:
    """Whether the list is open, and what is in it."""
    if not clicks or study is None:
        return False, ""
    return True, table(service.skipped(name(study)))


def table(found: list[dict[str, Any]]) -> Component:
    """A table of skipped images; the first thousand of them."""
    rows = [html.Tr([html.Td(one["path"], className="name"), html.Td(one["reason"])]) for one in found[:MOST]]
    head = html.Thead(html.Tr([html.Th("image"), html.Th("why")]))
    more = [] if len(found) <= MOST else [html.P(f"and {len(found) - MOST:,} more; the JSON API lists them all")]
    return html.Div([html.Table([head, html.Tbody(rows)], className="plain"), *more])


@PANELS.register("skipped")
def register(app: Dash, service: Service) -> None:
    """Bind the panel to an app."""
    app.callback(
        Output(ids.SKIPPED_MODAL, "is_open"),
        Output(ids.SKIPPED_BODY, "children"),
        Input(ids.HEADER_SKIPPED, "n_clicks"),
        State(ids.STUDY, "data"),
        prevent_initial_call=True,
    )(partial(listed, service))
