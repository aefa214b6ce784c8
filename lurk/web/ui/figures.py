"""What the Plotly figures share: layout and escaped labels; their colours come from the style sheet."""

from html import escape
from typing import Any

from dash import dcc, html
from dash.development.base_component import Component

from lurk.web.ui.clientside import attributes

FONT = {"family": "system-ui, sans-serif", "size": 11}
CONFIG: Any = {"displayModeBar": False, "responsive": True}


def text(words: str, longest: int | None = None) -> str:
    """A label with its markup escaped, since Plotly reads tags in text; cut to at most `longest` letters."""
    if longest is not None and len(words) > longest:
        words = words[: longest - 1].rstrip() + "…"
    return escape(words, quote=False)


def figure(traces: list[dict[str, Any]], label: str, class_name: str, **layout: Any) -> Component:
    """Draw a figure.

    Args:
        traces: Plotly traces; SVG kinds only, since the page forbids `eval`.
        label: What it shows, for screen readers.
        class_name: Class for the style sheet.
        **layout: Plotly layout beside what all figures share.

    Returns:
        The figure.
    """
    shared = {
        "font": FONT,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": False,
        "dragmode": False,
        "hoverlabel": {"font": FONT, "align": "left"},
    }
    graph = dcc.Graph(figure={"data": traces, "layout": shared | layout}, config=CONFIG, className="graph")
    return html.Div(graph, className=f"figure {class_name}", role="img", **attributes(label))
