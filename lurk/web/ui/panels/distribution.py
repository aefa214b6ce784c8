"""How often a unit takes which value, over all positions of all images."""

from dash import html
from dash.development.base_component import Component

from lurk.records import UnitRecord
from lurk.service.figures.distribution import histogram
from lurk.service.unit_view import UnitView
from lurk.service.unit_words import SENTENCES, facts
from lurk.web.ui.graph import graph
from lurk.web.ui.panels import SECTIONS, Kind, Section, heading

TITLE = "How often it is active"
HELP = (
    "All values that the unit took, at every position of every image; the height says how often, each line "
    "many times as often as the one below.\n"
    "Behind a rectifier such as ReLU, dead means never above 0, and always on means above 0 at 99.9 % of positions or "
    "more. "
    "Saturated: at a bound of its activation at half of its active positions or more."
)


def distribution(view: UnitView, _kind: Kind) -> Component:
    """The distribution of a unit's values, whichever kind of score is chosen."""
    record, counts = view.record, view.histogram["counts"]
    if not record.count or not any(counts):
        parts: list[Component] = [html.P("No value has been seen yet.", className="why")]
    else:
        edges = view.histogram["edges"]
        label = f"Histogram of the unit's values from {edges[0]:.3g} to {edges[-1]:.3g}"
        parts = [_facts(record), graph(histogram(edges, counts), label, "histogram")]
    if record.count and record.state in SENTENCES:
        parts.insert(0, html.P(SENTENCES[record.state], className=f"state-words {record.state}"))
    return html.Section([heading(TITLE, HELP), *parts], className="section")


def _facts(record: UnitRecord) -> Component:
    return html.Dl(
        [html.Div([html.Dt(term), html.Dd(value)]) for term, value in facts(record)],
        className="numbers",
    )


SECTIONS.register("distribution")(Section("answers", 1, distribution))
