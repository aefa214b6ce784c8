"""What a unit answers to: the classes with the highest mean score, as bars."""

from typing import Any

from dash import html
from dash.development.base_component import Component

from lurk.service.unit_view import UnitView
from lurk.web.ui.figures import figure, text
from lurk.web.ui.panels import SECTIONS, Kind, Section, heading

TITLE = "Classes it answers to"
HELP = (
    "Each bar is a class: the mean, over the class's images, of an image's score (its highest value, or its mean, by "
    "the switch above). The 20 classes with the highest mean are shown, highest first.\n"
    "The whisker is the 95 % interval of that mean: with few images it is wide, and with one there is none. The dashed "
    "line is the mean over all classes."
)
LONGEST = 26


def bars(view: UnitView, kind: Kind) -> Component:
    """The bars of a unit, or why there are none."""
    found = view.bars(kind) if not view.no_classes else []
    if not found:
        why = view.no_classes or "no image of any class has been seen yet"
        return html.Section([heading(TITLE, HELP), html.P(f"No classes: {why}.", className="why")], className="section")
    overall = view.overall(kind)
    line = html.Span(
        "" if overall is None else f"dashed: mean, {overall:.3g}",
        className="note small",
        title="The dashed line is the mean over all classes",
    )
    return html.Section([heading(TITLE, HELP, line), _figure(found, overall)], className="section grows")


def _figure(found: list[dict[str, Any]], overall: float | None) -> Component:
    places = list(range(len(found)))
    trace = {
        "type": "bar",
        "orientation": "h",
        "x": [bar["mean"] for bar in found],
        "y": places,
        "error_x": {"type": "data", "array": [bar["half_width"] or 0 for bar in found], "thickness": 1, "width": 2},
        "customdata": [[text(bar["class"]), bar["n"], _interval(bar)] for bar in found],
        "hovertemplate": "%{customdata[0]}<br>%{x:.4g}%{customdata[2]}<br>n = %{customdata[1]}<extra></extra>",
    }
    words = ", ".join(f"{bar['class']} {bar['mean']:.3g}" for bar in found[:5])
    line = [] if overall is None else [_line(overall)]
    return figure(
        [trace],
        f"Bars of the classes with the highest mean: {words}",
        "bars",
        margin={"l": 4, "r": 12, "t": 4, "b": 20},
        bargap=0.3,
        shapes=line,
        xaxis={"automargin": True, "fixedrange": True, "zeroline": True, "nticks": 6},
        yaxis={
            "tickmode": "array",
            "tickvals": places,
            "ticktext": [text(bar["class"], LONGEST) + " " for bar in found],
            "range": [max(len(found), 6) - 0.5, -0.5],
            "automargin": True,
            "fixedrange": True,
            "showgrid": False,
            "zeroline": False,
        },
    )


def _interval(bar: dict[str, Any]) -> str:
    return "" if bar["half_width"] is None else f" ± {bar['half_width']:.2g}"


def _line(overall: float) -> dict[str, Any]:
    return {
        "type": "line",
        "x0": overall,
        "x1": overall,
        "yref": "paper",
        "y0": 0,
        "y1": 1,
        "line": {"width": 1, "dash": "dash"},
    }


SECTIONS.register("bars")(Section("answers", 0, bars))
