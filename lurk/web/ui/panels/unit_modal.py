"""A unit's modal: what it wants to see, what it saw, what it answers to; its neighbours are an arrow key away."""

from functools import partial

import dash_bootstrap_components as dbc
from dash import Dash, Input, Output, State, html
from dash.development.base_component import Component
from werkzeug.exceptions import BadRequest

from lurk.errors import LurkError
from lurk.records import counted
from lurk.service.service import Service
from lurk.service.unit_words import BADGES, layer_words
from lurk.web.ui import ids
from lurk.web.ui.clientside import attributes, bind
from lurk.web.ui.page_addresses import find_unit
from lurk.web.ui.panels import PANELS, sections
from lurk.web.ui.request_body import channels, name, number


def layout() -> Component:
    """The modal, closed and empty."""
    kinds = html.Div(
        [
            html.Button(
                "by highest value", id=ids.KIND_MAX, type="button", **attributes(data_kind="max", aria_pressed="true")
            ),
            html.Button(
                "by mean", id=ids.KIND_MEAN, type="button", **attributes(data_kind="mean", aria_pressed="false")
            ),
        ],
        className="switch",
        role="group",
        **attributes("How an image's score is taken"),
    )
    top = html.Div(
        [
            html.Div(id=ids.UNIT_TITLE, className="unit-title"),
            kinds,
            html.Div(
                [
                    html.Span(id=ids.UNIT_CHECKED, className="checked", role="status"),
                    _button(ids.UNIT_CHECK, "Check", "Compute these scores again from the images, and compare"),
                    _button(ids.UNIT_PREVIOUS, "‹", "Previous unit"),
                    _button(ids.UNIT_NEXT, "›", "Next unit"),
                    _button(ids.UNIT_CLOSE, "×", "Close"),
                ],
                className="unit-buttons",
            ),
        ],
        className="unit-top",
    )
    modal: Component = dbc.Modal(
        [top, html.Div(id=ids.UNIT_BODY, className="unit-body")],
        id=ids.UNIT_MODAL,
        is_open=False,
        size="xl",
        fullscreen="lg-down",
        labelledby=ids.UNIT_TITLE,
        fade=False,
        class_name="unit-modal",
    )
    return modal


def _button(id_: str, text: str, words: str) -> Component:
    is_sign = len(text) == 1
    label = attributes(words if is_sign else "")
    return html.Button(text, id=id_, type="button", title=words, className="sign" if is_sign else "worded", **label)


def title(service: Service, place: object, serial: object) -> list[Component]:
    """Name and state of a unit, for the modal's top left."""
    if not isinstance(place, dict):
        return []
    study, layer, unit = name(place.get("study")), name(place.get("layer")), number(place.get("unit"))
    try:
        view = find_unit(service, study, layer, unit)
    except LurkError:
        return [html.H2([html.Span(layer, className="name"), f" unit {unit}"])]
    parts: list[Component] = [html.H2([html.Span(layer, className="name"), f" {view.name}"])]
    if layer_words(layer):
        parts.append(html.Span(layer_words(layer), className="note"))
    if view.record.state in BADGES:
        word, meaning = BADGES[view.record.state]
        parts.append(html.Span(word, className=f"badge-state {view.record.state}", title=meaning))
    if view.seen < view.total:
        parts.append(html.Span(f"from {view.seen:,} of {counted(view.total, 'image')}", className="note"))
    return parts


def body(service: Service, place: object, kind: object, shown_in: object, _serial: object) -> Component | None:
    """The modal's three columns for a unit, or why there are none."""
    if not isinstance(place, dict):
        return None
    if kind not in ("max", "mean"):
        raise BadRequest("images are ranked by 'max' or by 'mean'")
    study, layer, unit = name(place.get("study")), name(place.get("layer")), number(place.get("unit"))
    try:
        view = find_unit(service, study, layer, unit)
    except LurkError as error:
        return html.P(str(error)[:1].upper() + str(error)[1:] + ".", className="why")
    view.channels = channels(shown_in)
    columns = [
        html.Div([section.build(view, kind) for section in sections(column)], className=f"column {column}")
        for column in ("wants", "saw", "answers")
    ]
    return html.Div(columns, className="columns")


@PANELS.register("unit")
def register(app: Dash, service: Service) -> None:
    """Bind the panel to an app."""
    place, serial = Input(ids.UNIT, "data"), Input(ids.SERIAL, "data")
    app.callback(Output(ids.UNIT_TITLE, "children"), place, serial)(partial(title, service))
    app.callback(
        Output(ids.UNIT_BODY, "children"), place, Input(ids.KIND, "data"), Input(ids.CHANNELS, "data"), serial
    )(partial(body, service))
    bind(
        app,
        "openUnit",
        Output(ids.UNIT_MODAL, "is_open"),
        place,
        State(ids.UNIT_MODAL, "is_open"),
    )
    bind(app, "closeUnit", Input(ids.UNIT_MODAL, "is_open"), at_start=False)
    bind(
        app,
        "walkEnds",
        Output(ids.UNIT_PREVIOUS, "disabled"),
        Output(ids.UNIT_NEXT, "disabled"),
        place,
        Input(ids.GRID_DATA, "data"),
        Input(ids.LAYERS, "data"),
    )
    bind(
        app,
        "pressKind",
        Output(ids.KIND_MAX, "aria-pressed"),
        Output(ids.KIND_MEAN, "aria-pressed"),
        Input(ids.KIND, "data"),
    )
    bind(
        app,
        "checked",
        Output(ids.UNIT_CHECKED, "children"),
        Output(ids.UNIT_CHECK, "disabled"),
        Input(ids.CHECK, "data"),
        place,
    )
