"""The first page where a server has several studies: one card each."""

from functools import partial

from dash import Dash, Input, Output, dcc, html
from dash.development.base_component import Component

from lurk.service import Service
from lurk.ui import ids
from lurk.ui.address import write
from lurk.ui.panels import PANELS
from lurk.ui.panels.header import short
from lurk.views import StudyView

STATES = {
    "waiting": "waiting",
    "starting": "starting",
    "running": "sweeping",
    "done": "complete",
    "cancelled": "stopped",
    "failed": "failed",
}


def cards(service: Service, _tick: object, shown: object) -> Component | None:
    """A card for each study.

    Args:
        service: Who knows them.
        _tick: Number of the poller's answer; a new one draws the cards anew.
        shown: Name of the page that is shown.

    Returns:
        The cards; None on another page.
    """
    if shown != "home":
        return None
    found = service.studies()
    if not found:
        return html.P("There is no study yet.", className="why")
    return html.Div([html.H1("Studies"), html.Ul([_card(service, view) for view in found], className="cards")])


def _card(service: Service, view: StudyView) -> Component:
    status = service.status(view.name)
    count = f"{status['done']:,} of {status['total']:,} images" if status["total"] else ""
    state = STATES.get(status["state"], status["state"])
    return html.Li(
        dcc.Link(
            [
                html.Strong([html.Span(short(view.model), className="name"), f" on {short(view.images)}"]),
                html.Span(" · ".join(part for part in (state, count) if part), className="note"),
                *([html.Span(view.notice, className="card-notice")] if view.notice else []),
            ],
            href=write(view.name),
        )
    )


@PANELS.register("studies")
def register(app: Dash, service: Service) -> None:
    """Bind the panel to an app."""
    app.callback(Output(ids.HOME, "children"), Input(ids.TICK, "data"), Input(ids.PAGE, "data"))(
        partial(cards, service)
    )
