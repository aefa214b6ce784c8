"""How often a unit takes which value, as a histogram whose heights are logarithmic."""

import math
from collections.abc import Sequence

from lurk.service.figures.layout import Figure, figure

LOWEST = 0.5


def histogram(edges: Sequence[float], counts: Sequence[float]) -> Figure:
    """Draw a histogram.

    Args:
        edges: Edges of the bars, one more than there are bars.
        counts: Number of positions in each bar; at least one is above 0.

    Returns:
        The figure, without the empty bars at either end.
    """
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
