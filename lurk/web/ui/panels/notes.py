"""What was understood of what the user gave: which weights a file held, which column of a list has the classes."""

from functools import partial

from dash import Dash, Input, Output, html
from dash.development.base_component import Component

from lurk.service.service import Service
from lurk.web.ui import ids
from lurk.web.ui.panels import PANELS
from lurk.web.ui.request_body import name


def layout() -> Component:
    """Room for the notes, empty until the study has an index."""
    return html.Div(id=ids.NOTES)


def notes(service: Service, study: object, _ready: object, _serial: object) -> Component | None:
    """The notes of a study, shown on demand; None if it has none."""
    view = service.study(name(study)) if study is not None else None
    if view is None or not view.notes:
        return None
    listed = html.Ul([html.Li(note) for note in view.notes])
    return html.Details([html.Summary("What was understood"), listed], className="notes")


@PANELS.register("notes")
def register(app: Dash, service: Service) -> None:
    """Bind the panel to an app."""
    study, ready, serial = Input(ids.STUDY, "data"), Input(ids.READY, "data"), Input(ids.SERIAL, "data")
    app.callback(Output(ids.NOTES, "children"), study, ready, serial)(partial(notes, service))
