"""The web application: `create_app(service)` makes the Dash app with its layout, routes and middleware."""

from collections.abc import Sequence
from functools import partial
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dash
import flask
from dash import Input, Output, State, dcc, html
from dash.development.base_component import Component

from lurk.service.service import Service
from lurk.web.auth.access import Access
from lurk.web.auth.request_guard import LARGEST_BODY, Guard
from lurk.web.ui import caching, compression, ids, login_routes, request_body, responses, routes
from lurk.web.ui.clientside import bind
from lurk.web.ui.page_addresses import read
from lurk.web.ui.panels import (
    PANELS,
    channels,
    grid,
    header,
    layers,
    not_found,
    notes,
    skipped_images,
    unit_modal,
)
from lurk.web.ui.path_prefix import PathPrefix
from lurk.web.ui.request_log import RequestLog

ASSETS = Path(__file__).resolve().parents[3] / "assets"
TITLE = "Torchlurk"
INDEX = """<!DOCTYPE html>
<html lang="en" data-prefix="{prefix}">
  <head>
    {%metas%}
    <title>{%title%}</title>
    <link rel="icon" type="image/svg+xml" href="{prefix}/assets/icon.svg">
    <script src="{prefix}/assets/theme.js"></script>
    {%css%}
  </head>
  <body>
    {%app_entry%}
    <noscript>This page is drawn by its scripts; the same data are at {prefix}/api/v1/studies.</noscript>
    <footer>{%config%}{%scripts%}{%renderer%}</footer>
  </body>
</html>"""


class Page(dash.Dash):
    """A Dash app that answers an address of nothing with status 404, and with the page that says so."""

    service: Service

    def index(self, *args: Any, **kwargs: Any) -> flask.Response:
        """The page's HTML."""
        why = not_found.trouble(self.service, read(flask.request.path))
        text = super().index(*args, **kwargs)  # type: ignore[no-untyped-call]  # Dash leaves it untyped
        return flask.Response(text, 404 if why else 200, mimetype="text/html")


def create_app(
    service: Service,
    *,
    debug: bool = False,
    allowed_hosts: Sequence[str] = (),
    access: Access | None = None,
    prefix: str = "",
) -> dash.Dash:
    """Make the app of a service.

    Args:
        service: Answers the page.
        debug: Whether Dash's developer tools are shown in the page.
        allowed_hosts: Host names under which the page answers beside those of loopback.
        access: How people log in; None for a server without a log-in.
        prefix: Path under which a proxy shows the page, as `Settings.path_prefix` has it; empty for none.

    Returns:
        A Dash app; its `server` is a WSGI application.
    """
    app = Page(
        __name__,
        assets_folder=str(ASSETS),
        assets_ignore=r"theme\.js|login\.css",
        external_stylesheets=[f"{prefix}{routes.STYLE}?{caching.VERSION}={version(routes.STYLE_PACKAGE)}"],
        index_string=INDEX.replace("{prefix}", prefix),
        routes_pathname_prefix="/",
        requests_pathname_prefix=prefix + "/",
        title=escape(page_title(service)),
        update_title="",
        serve_locally=True,
        suppress_callback_exceptions=True,
        add_log_handler=False,
        enable_mcp=False,
        use_pages=False,
    )
    app.service = service
    app.server.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY
    app.layout = partial(layout, service)
    login_routes.register(app.server, access, ASSETS)
    routes.register(app.server, service)
    responses.register(app.server)
    compression.register(app.server)
    caching.register(app.server)
    request_body.register(app)
    _bind(app)
    for panel in PANELS:
        PANELS[panel](app, service)
    app.enable_dev_tools(debug=debug, dev_tools_hot_reload=False, dev_tools_prune_errors=False)
    _make_ready(app)
    guarded = RequestLog(Guard(app.server.wsgi_app, app.csp_hashes(), allowed_hosts))
    app.server.wsgi_app = PathPrefix(guarded, prefix)
    return app


def _make_ready(app: dash.Dash) -> None:
    """Set Dash up now; it would do so within its first request, and know no scripts for other requests meanwhile."""
    with app.server.test_request_context():
        app.server.preprocess_request()


def page_title(service: Service) -> str:
    """Title of the browser's tab; with the study's if there is only one."""
    found = service.studies()
    return f"{found[0].title} · {TITLE}" if len(found) == 1 else TITLE


def layout(service: Service) -> Component:
    """All elements of the page; the address decides which are visible."""
    names = [view.name for view in service.studies()]
    empty = (ids.PAGE, ids.STUDY, ids.LAYER, ids.UNIT, ids.STATUS, ids.SERVER, ids.LAYERS, ids.GRID_DATA, ids.CHECK)
    stores = [
        dcc.Store(id=ids.STUDIES, data=names),
        *(dcc.Store(id=store) for store in empty),
        dcc.Store(id=ids.KIND, data="max"),
        dcc.Store(id=ids.READY, data=False),
        dcc.Store(id=ids.CHANNELS, data=""),
        dcc.Store(id=ids.SERIAL, data=0),
        dcc.Store(id=ids.TICK, data=0),
    ]
    left = html.Div([layers.layout(), channels.layout(), notes.layout()], className="left")
    study = html.Div([left, grid.layout()], id=ids.STUDY_PAGE, className="study", hidden=True)
    main = html.Main(
        [
            html.Div(id=ids.MESSAGE, hidden=True),
            html.Div(id=ids.HOME, hidden=True, className="page"),
            study,
            html.Div(id=ids.JOBS_PAGE, hidden=True, className="page"),
        ]
    )
    return html.Div(
        [
            dcc.Location(id=ids.URL, refresh=False),
            *stores,
            header.layout(),
            main,
            unit_modal.layout(),
            skipped_images.layout(),
            html.Div(id=ids.CHARTS, hidden=True),
        ]
    )


def _bind(app: dash.Dash) -> None:
    """Bind the address to what is visible."""
    bind(
        app,
        "page",
        Output(ids.PAGE, "data"),
        Output(ids.STUDY, "data"),
        Input(ids.URL, "pathname"),
        Input(ids.STUDIES, "data"),
        State(ids.PAGE, "data"),
        State(ids.STUDY, "data"),
    )
    bind(
        app,
        "place",
        Output(ids.LAYER, "data"),
        Output(ids.UNIT, "data"),
        Input(ids.URL, "pathname"),
        Input(ids.STUDY, "data"),
        Input(ids.LAYERS, "data"),
        State(ids.LAYER, "data"),
        State(ids.UNIT, "data"),
    )
    bind(
        app,
        "showPage",
        Output(ids.HOME, "hidden"),
        Output(ids.STUDY_PAGE, "hidden"),
        Output(ids.JOBS_PAGE, "hidden"),
        Input(ids.PAGE, "data"),
        Input(ids.MESSAGE, "hidden"),
    )
