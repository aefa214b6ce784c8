"""What all figures share: their layout, and labels with their markup escaped."""

from html import escape
from typing import Any

FONT = {"family": "system-ui, sans-serif", "size": 11}
CLEAR = "rgba(0,0,0,0)"
Figure = dict[str, Any]  # {"data": [trace, …], "layout": {…}}, which Plotly takes as it is


def text(words: str, longest: int | None = None) -> str:
    """A label with its markup escaped, since Plotly reads tags in text; cut to at most `longest` letters."""
    if longest is not None and len(words) > longest:
        words = words[: longest - 1].rstrip() + "…"
    return escape(words, quote=False)


def figure(traces: list[dict[str, Any]], **layout: Any) -> Figure:
    """Put a figure together.

    Args:
        traces: Plotly traces; SVG kinds only, since the page forbids `eval`.
        **layout: Plotly layout beside what all figures share.

    Returns:
        The figure; it has no colours of its own, so that a style sheet or a template can give them.
    """
    shared = {
        "font": FONT,
        "paper_bgcolor": CLEAR,
        "plot_bgcolor": CLEAR,
        "showlegend": False,
        "dragmode": False,
        "hoverlabel": {"font": FONT, "align": "left"},
    }
    return {"data": traces, "layout": shared | layout}
