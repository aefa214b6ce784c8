"""The top bar: the study, the progress of its sweep and its warnings, filled from what the page polls."""

from functools import partial

import dash_bootstrap_components as dbc
from dash import Dash, Input, Output, State, dcc, html
from dash.development.base_component import Component

from lurk.service.service import Service
from lurk.web.ui import ids
from lurk.web.ui.clientside import attributes, bind
from lurk.web.ui.login_routes import LOGOUT, can_log_out, person
from lurk.web.ui.panels import PANELS
from lurk.web.ui.path_prefix import outside
from lurk.web.ui.request_body import name
from lurk.web.ui.words import base_name


def layout() -> Component:
    """The bar and the banners below it."""
    bar = html.Header(
        [
            dcc.Link([html.Span(className="mark"), "Torchlurk"], href=outside("/"), className="brand"),
            html.Div(id=ids.HEADER_TITLE, className="study-title"),
            html.Div(
                [
                    html.Progress(
                        id=ids.HEADER_PROGRESS,
                        max="1",
                        value="0",
                        hidden=True,
                        **attributes("Progress of the sweep"),
                    ),
                    html.Span(id=ids.HEADER_STATE, className="state-text"),
                    dbc.Button("Cancel", id=ids.HEADER_CANCEL, color="link", size="sm", style={"display": "none"}),
                    dbc.Button("Resume", id=ids.HEADER_RESUME, color="link", size="sm", style={"display": "none"}),
                    dbc.Button("", id=ids.HEADER_SKIPPED, color="link", size="sm", style={"display": "none"}),
                ],
                className="sweep",
            ),
            html.Nav(
                [
                    dcc.Link("Jobs", href=outside("/jobs"), className="nav-jobs"),
                    html.Button(
                        "Theme: ", id=ids.THEME, className="theme", type="button", title="Light, dark or as the system"
                    ),
                    *_person(),
                ],
                **attributes("Pages"),
            ),
        ],
        className="bar",
    )
    return html.Div(
        [
            bar,
            html.Div(id=ids.NOTICE, className="notice", role="alert", hidden=True),
            html.Div(id=ids.GONE, className="gone", role="status", hidden=True),
        ]
    )


def _person() -> list[Component]:
    """The name of who is logged in, and a button to log out; nothing if the server has no log-in."""
    found = person()
    if not found.name:
        return []
    label = html.Span(found.name, className="who", title=f"You are {found.name}, {found.role}")
    out = html.Form(html.Button("Log out", type="submit", className="worded"), action=outside(LOGOUT), method="POST")
    return [label, out] if can_log_out() else [label]


def title(service: Service, study: object) -> Component | str:
    """Model and image set of a study."""
    view = service.study(name(study)) if study is not None else None
    if view is None:
        return ""
    if view.label:
        words: list[Component | str] = [view.label, html.Span(f" {view.title}", className="on")]
    else:
        model, on = html.Span(base_name(view.model), className="name"), html.Span(" on ", className="on")
        words = [model, on, base_name(view.images)]
    return html.H1(words, title=f"{view.model} on {view.images}")


@PANELS.register("header")
def register(app: Dash, service: Service) -> None:
    """Bind the panel to an app."""
    app.callback(Output(ids.HEADER_TITLE, "children"), Input(ids.STUDY, "data"))(partial(title, service))
    bind(
        app,
        "status",
        Output(ids.HEADER_STATE, "children"),
        Output(ids.HEADER_PROGRESS, "value"),
        Output(ids.HEADER_PROGRESS, "hidden"),
        Output(ids.HEADER_CANCEL, "style"),
        Output(ids.HEADER_RESUME, "children"),
        Output(ids.HEADER_RESUME, "style"),
        Output(ids.HEADER_SKIPPED, "children"),
        Output(ids.HEADER_SKIPPED, "style"),
        Output(ids.NOTICE, "children"),
        Output(ids.NOTICE, "hidden"),
        Output(ids.READY, "data"),
        Output(ids.SERIAL, "data"),
        Input(ids.STATUS, "data"),
        State(ids.READY, "data"),
        State(ids.SERIAL, "data"),
    )
    bind(
        app,
        "gone",
        Output(ids.GONE, "children"),
        Output(ids.GONE, "hidden"),
        Input(ids.SERVER, "data"),
    )
