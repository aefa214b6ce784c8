"""The first page of a server with several studies: a card each, with its state, size and provenance."""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from dash import Dash, Input, Output, dcc, html
from dash.development.base_component import Component

from lurk.records import counted
from lurk.service.service import Service
from lurk.service.study_view import StudyView
from lurk.web.ui import ids
from lurk.web.ui.clientside import attributes
from lurk.web.ui.page_addresses import write
from lurk.web.ui.panels import PANELS
from lurk.web.ui.path_prefix import outside
from lurk.web.ui.words import base_name, moment

UNTRAINED = "untrained"
STARTED_BY = "Write a [[study]] into the server's file, then: python -m lurk reload"
LONGEST_PREPROCESSING = 120
STRIP_TILE = 56


def cards(service: Service, _tick: object, page: object) -> Component | None:
    """A card for each study; None on other pages than the front page."""
    if page != "home":
        return None
    found = service.studies()
    if not found:
        return html.Div([html.H1("Studies"), html.P(f"There is no study yet. {STARTED_BY}.", className="why")])
    drawn = [_card(view, service.status(view.name)) for view in found]
    return html.Div([html.H1("Studies"), html.Ul(drawn, className="cards")])


def _card(view: StudyView, status: Mapping[str, Any]) -> Component:
    state = status["state"]
    parts = [
        _strip(view),
        html.Div([html.H2(_title(view)), _badges(view)], className="card-head"),
        html.Div(
            [html.Span(className="dot", **attributes(data_state=state)), html.Span(state_words(status))],
            className="card-state",
            **attributes(data_state=state),
        ),
        _progress(status),
        html.P(f"From an earlier sweep: {view.stale}.", className="card-why") if view.stale else None,
        html.Dl(_facts(view), className="card-facts"),
        html.P(view.notice, className="card-notice", **attributes(data_grave=str(view.weights == UNTRAINED).lower()))
        if view.notice
        else None,
    ]
    return html.Li(dcc.Link([part for part in parts if part is not None], href=write(view.name)), key=view.name)


def _strip(view: StudyView) -> Component:
    """The first units of a layer in the middle, or an empty strip of the same height."""
    if not view.strip:
        return html.Div(className="card-strip waiting")
    style = {"backgroundImage": f"url({outside(view.strip)})", "width": f"{view.strip_units * STRIP_TILE}px"}
    return html.Div(html.Div(style=style), className="card-strip")


def _title(view: StudyView) -> list[Component | str]:
    return (
        [view.label]
        if view.label
        else [html.Span(base_name(view.model), className="name"), f" on {base_name(view.images)}"]
    )


def _badges(view: StudyView) -> Component:
    badges = []
    if view.stale:
        badges.append(html.Span("stale", className="badge-word stale", title="The results are of an earlier sweep"))
    if view.weights == UNTRAINED:
        badges.append(html.Span("untrained", className="badge-word grave", title="Its units have learned nothing"))
    return html.Span(badges, className="badges")


def state_words(status: Mapping[str, Any]) -> str:
    """State of a sweep as a card says it."""
    state, done, total = status["state"], status["done"], status["total"]
    count = f"{done:,} of {counted(total, 'image')}" if total else ""
    if state == "waiting":
        ahead = status["ahead"]
        return f"Waiting, {ahead} ahead" if ahead else "Waiting" if status["workers"] else "Waiting for a worker"
    if state == "starting":
        return f"Starting: {status['message']}" if status["message"] else "Starting"
    if state == "running":
        return " · ".join(part for part in (f"Sweeping {count}", left_words(status["eta_s"])) if part)
    if state == "cancelled":
        return f"Stopped at {count}" if count else "Stopped"
    if state == "failed":
        return f"Failed: {status['message'] or 'the log of the server says why'}"
    return "Complete" if state == "done" else str(state)


def left_words(seconds: float | None) -> str:
    """How long a sweep will still take."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{max(1, round(seconds))} s left"
    minutes = round(seconds / 60)
    return f"{minutes} min left" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min left"


def _progress(status: Mapping[str, Any]) -> Component | None:
    if status["state"] not in ("running", "cancelled") or not status["total"]:
        return None
    share = f"{status['done'] / status['total']:.3f}"
    return html.Progress(max="1", value=share, **attributes("Progress of the sweep"))


def _facts(view: StudyView) -> list[Component]:
    """Size, time and provenance, as terms and what is said of them."""
    images = counted(view.count, "image") if view.count else ""
    size = [images, counted(view.layers, "layer"), counted(view.units, "unit")] if view.layers else []
    facts: list[tuple[str, str, str]] = []
    if view.label:
        facts.append(("what", f"{base_name(view.model)} on {base_name(view.images)}", f"{view.model} on {view.images}"))
    facts.append(("size", " · ".join(part for part in size if part), ""))
    facts.append(("swept", moment(view.swept), ""))
    weights = f"{view.weights} · {view.weight_hash[:8]}" if view.weight_hash else view.weights
    facts.append(("weights", weights, f"SHA-256 {view.weight_hash}" if view.weight_hash else ""))
    facts.append(("input", cut(view.preprocessing), view.preprocessing))
    terms: list[Component] = []
    for term, words, title in facts:
        if words:
            grave = "grave" if term == "weights" and view.weights == UNTRAINED else ""
            terms += [html.Dt(term), html.Dd(words, title=title or None, className=grave or None)]
    return terms


def cut(words: str) -> str:
    """A long text, cut at a word, its numbers to three places."""
    words = re.sub(r"\d+\.\d{4,}", lambda found: f"{float(found[0]):.3g}", words)
    if len(words) <= LONGEST_PREPROCESSING:
        return words
    return words[:LONGEST_PREPROCESSING].rpartition(" ")[0].rstrip(",;") + " …"


@PANELS.register("studies")
def register(app: Dash, service: Service) -> None:
    """Bind the panel to an app."""
    app.callback(Output(ids.HOME, "children"), Input(ids.TICK, "data"), Input(ids.PAGE, "data"))(
        partial(cards, service)
    )
