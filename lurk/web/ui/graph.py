"""Puts a Plotly figure on the page; its colours come from the style sheet."""

from typing import Any

from dash import dcc, html
from dash.development.base_component import Component

from lurk.service.figures.layout import Figure
from lurk.web.ui.clientside import attributes

CONFIG: Any = {"displayModeBar": False, "responsive": True}


def graph(figure: Figure, label: str, class_name: str) -> Component:
    """Put a figure on the page.

    Args:
        figure: The figure.
        label: What it shows, for screen readers.
        class_name: Class for the style sheet.

    Returns:
        The component.
    """
    drawn = dcc.Graph(figure=figure, config=CONFIG, className="graph")
    return html.Div(drawn, className=f"figure {class_name}", role="img", **attributes(label))
