"""The bars and the histogram of a unit as Plotly figures for a notebook: those of the page, with a title."""

from html import escape
from typing import TYPE_CHECKING, Any

from lurk.service.figures.class_bars import class_bars
from lurk.service.figures.distribution import histogram
from lurk.service.figures.layout import Figure
from lurk.service.unit_words import SENTENCES, facts, no_bars, number

if TYPE_CHECKING:
    from lurk.library.unit import Kind, Unit

NO_VALUES = "No value has been seen yet."


def classes(unit: "Unit", kind: "Kind") -> Any:
    """The classes with the highest mean; a figure with the reason where there are none."""
    view = unit.view
    figure = class_figure(unit, kind)
    if figure is None:
        return plotted(words_alone(no_bars(view.no_classes)), unit, "classes it answers to", height=160)
    overall = view.overall(kind) or 0.0  # where there are bars there is a mean
    of = "the highest value in each image" if kind == "max" else "the mean of each image"
    note = f"mean of {of}; dashed: over all classes, {number(overall, 3)}"
    height = 110 + 20 * max(len(view.bars(kind)), 6)
    return plotted(figure, unit, "classes it answers to", note, height=height)


def class_figure(unit: "Unit", kind: "Kind") -> Figure | None:
    """The figure of the page; None without classes."""
    bars = [] if unit.view.no_classes else unit.view.bars(kind)
    return class_bars(bars, unit.view.overall(kind)) if bars else None


def distribution(unit: "Unit") -> Any:
    """The histogram of the unit's values; a figure that says so where there are none."""
    figure = histogram_figure(unit)
    if figure is None:
        return plotted(words_alone(NO_VALUES), unit, "how often it is active", height=160)
    record = unit.view.record
    note = ", ".join(f"{term} {value}" for term, value in facts(record))
    state = SENTENCES.get(record.state, "")
    return plotted(figure, unit, "how often it is active", *filter(None, (note, state)), height=300)


def histogram_figure(unit: "Unit") -> Figure | None:
    """The figure of the page; None before a value has been seen."""
    values = unit.view.histogram
    return histogram(values["edges"], values["counts"]) if any(values["counts"]) else None


def plotted(figure: Figure, unit: "Unit", title: str, *notes: str, height: int, width: int | None = None) -> Any:
    """Make a Plotly figure with a title.

    Args:
        figure: The figure as plain values.
        unit: The unit that it is of.
        title: What it shows.
        *notes: Smaller lines below the title.
        height: Height in pixels.
        width: Width in pixels; by default all that the notebook has.

    Returns:
        The `plotly.graph_objects.Figure`.
    """
    return titled(figure, f"{unit.layer} {unit.view.name}: {title}", *notes, height=height, width=width)


def titled(figure: Figure, title: str, *notes: str, height: int, width: int | None = None) -> Any:
    """Make a Plotly figure with a title; see `plotted`."""
    from plotly.graph_objects import Figure as PlotlyFigure

    dropped = () if "images" in figure["layout"] else ("paper_bgcolor", "plot_bgcolor")  # a chart has the template's
    layout = {name: value for name, value in figure["layout"].items() if name not in dropped}
    lines = [escape(title, quote=False), *(f"<sub>{escape(note, quote=False)}</sub>" for note in notes)]
    drawn = PlotlyFigure(data=figure["data"], layout=layout)
    drawn.update_layout(
        title={"text": "<br>".join(lines), "font": {"size": 14}, "x": 0, "xref": "paper"},
        margin={**layout["margin"], "t": 30 + 22 * len(lines), "l": 10},
        height=height + 22 * len(notes),
        width=width,
    )
    return drawn


def words_alone(words: str) -> Figure:
    """A figure that only says something."""
    annotation = {"text": escape(words, quote=False), "x": 0.5, "y": 0.5, "xref": "paper", "yref": "paper"}
    hidden = {"visible": False}
    layout = {"margin": {"l": 10, "r": 10, "t": 10, "b": 10}, "xaxis": hidden, "yaxis": hidden}
    return {"data": [], "layout": layout | {"annotations": [annotation | {"showarrow": False}]}}
