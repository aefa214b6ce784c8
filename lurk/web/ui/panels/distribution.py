"""How often a unit takes which value, over all positions of all images."""

import math

from dash import html
from dash.development.base_component import Component

from lurk.records import UnitRecord
from lurk.service.unit_view import UnitView
from lurk.web.ui.figures import figure
from lurk.web.ui.panels import SECTIONS, Kind, Section, heading

TITLE = "How often it is active"
HELP = (
    "All values that the unit took, at every position of every image; the height says how often, each line "
    "many times as often as the one below.\n"
    "Dead: never above 0. Always on: above 0 at 99.9 % of positions or more. Saturated: at the upper bound of its "
    "activation at half of its active positions or more."
)
LOWEST = 0.5
STATES = {
    "dead": "Dead: it was never above 0, so nothing here excites it.",
    "always_on": "Always on: it is above 0 nearly everywhere, whatever the image.",
    "saturated": "Saturated: where it is active, it is mostly at its upper bound.",
}


def distribution(view: UnitView, _kind: Kind) -> Component:
    """The distribution of a unit's values, whichever kind of score is chosen."""
    record, counts = view.record, view.histogram["counts"]
    if not record.count or not any(counts):
        parts: list[Component] = [html.P("No value has been seen yet.", className="why")]
    else:
        parts = [_facts(record), _figure(view.histogram["edges"], counts)]
    if record.count and record.state in STATES:
        parts.insert(0, html.P(STATES[record.state], className=f"state-words {record.state}"))
    return html.Section([heading(TITLE, HELP), *parts], className="section")


def _facts(record: UnitRecord) -> Component:
    words = [
        ("above 0", f"{record.fraction_positive:.1%}".replace("%", " %")),
        ("mean", f"{record.mean:.3g}"),
        ("deviation", f"{record.std:.3g}"),
    ]
    if 0.99 in record.quantiles:
        words.append(("99 % are below", f"{record.quantiles[0.99]:.3g}"))
    return html.Dl(
        [html.Div([html.Dt(term), html.Dd(value)]) for term, value in words],
        className="numbers",
    )


def _figure(edges: list[float], counts: list[float]) -> Component:
    bars = [(left, right, count) for left, right, count in zip(edges, edges[1:], counts, strict=False) if count > 0]
    highest = max(count for *_, count in bars)
    left, right = bars[0][0], bars[-1][1]
    margin = 0.03 * (right - left) if len(bars) > 1 else 20 * (right - left)
    trace = {
        "type": "bar",
        "x": [(left + right) / 2 for left, right, _ in bars],
        "width": [right - left for left, right, _ in bars],
        "y": [count for *_, count in bars],
        "customdata": [[f"{left:.3g}", f"{right:.3g}"] for left, right, _ in bars],
        "hovertemplate": "%{customdata[0]} to %{customdata[1]}<br>%{y:,.0f} positions<extra></extra>",
    }
    return figure(
        [trace],
        f"Histogram of the unit's values from {edges[0]:.3g} to {edges[-1]:.3g}",
        "histogram",
        margin={"l": 4, "r": 12, "t": 4, "b": 20},
        bargap=0,
        xaxis={
            "automargin": True,
            "fixedrange": True,
            "nticks": 6,
            "showgrid": False,
            "zeroline": False,
            "range": [left - margin, right + margin],
        },
        yaxis={
            "type": "log",
            "range": [math.log10(LOWEST), math.log10(max(highest, 1)) + 0.3],
            "automargin": True,
            "fixedrange": True,
            "dtick": 1 if highest < 1e4 else 2,
            "tickformat": "~s",
        },
    )


SECTIONS.register("distribution")(Section("answers", 1, distribution))
