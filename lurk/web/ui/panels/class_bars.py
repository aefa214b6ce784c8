"""What a unit answers to: the classes with the highest mean score, as bars."""

from typing import Any

from dash import html
from dash.development.base_component import Component

from lurk.service.figures.class_bars import class_bars
from lurk.service.unit_view import UnitView
from lurk.service.unit_words import no_bars, number
from lurk.web.ui.graph import graph
from lurk.web.ui.panels import SECTIONS, Kind, Section, heading

TITLE = "Classes it answers to"
HELP = (
    "Each bar is a class: the mean, over the class's images, of an image's score (its highest value, or its mean, by "
    "the switch above). The 20 classes with the highest mean are shown, highest first.\n"
    "The whisker is the 95 % interval of that mean: with few images it is wide, and with one there is none. The dashed "
    "line is the mean over all classes."
)


def bars(view: UnitView, kind: Kind) -> Component:
    """The bars of a unit, or why there are none."""
    found = view.bars(kind) if not view.no_classes else []
    if not found:
        return html.Section(
            [heading(TITLE, HELP), html.P(no_bars(view.no_classes), className="why")], className="section"
        )
    overall = view.overall(kind)
    line = html.Span(
        "" if overall is None else f"dashed: mean, {number(overall, 3)}",
        className="note small",
        title="The dashed line is the mean over all classes",
    )
    return html.Section([heading(TITLE, HELP, line), _figure(found, overall)], className="section grows")


def _figure(found: list[dict[str, Any]], overall: float | None) -> Component:
    words = ", ".join(f"{bar['class']} {bar['mean']:.3g}" for bar in found[:5])
    return graph(class_bars(found, overall), f"Bars of the classes with the highest mean: {words}", "bars")


SECTIONS.register("bars")(Section("answers", 0, bars))
