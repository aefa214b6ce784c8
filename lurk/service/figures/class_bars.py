"""What a unit answers to: the classes with the highest mean score, as horizontal bars."""

from collections.abc import Sequence
from typing import Any

from lurk.service.figures.layout import Figure, figure, text

LONGEST = 26


def class_bars(bars: Sequence[dict[str, Any]], overall: float | None) -> Figure:
    """Draw bars with their 95 % intervals, and the mean over all classes as a dashed line.

    Args:
        bars: `class`, `mean`, `n` and `half_width` of each class, highest mean first, as `UnitView.bars` gives them.
        overall: The mean over all classes; None if there is none.

    Returns:
        The figure.
    """
    places = list(range(len(bars)))
    trace = {
        "type": "bar",
        "orientation": "h",
        "x": [bar["mean"] for bar in bars],
        "y": places,
        "error_x": {"type": "data", "array": [bar["half_width"] or 0 for bar in bars], "thickness": 1, "width": 2},
        "customdata": [[text(bar["class"]), bar["n"], _interval(bar)] for bar in bars],
        "hovertemplate": "%{customdata[0]}<br>%{x:.4g}%{customdata[2]}<br>n = %{customdata[1]}<extra></extra>",
    }
    return figure(
        [trace],
        margin={"l": 4, "r": 12, "t": 4, "b": 20},
        bargap=0.3,
        shapes=[] if overall is None else [_line(overall)],
        xaxis={"automargin": True, "fixedrange": True, "zeroline": True, "nticks": 6, "tickangle": 0},
        yaxis={
            "tickmode": "array",
            "tickvals": places,
            "ticktext": [text(bar["class"], LONGEST) + " " for bar in bars],
            "range": [max(len(bars), 6) - 0.5, -0.5],
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
