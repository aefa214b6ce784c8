"""The bars and the histogram as SVG, for a card without scripts: drawn from the Plotly figures, so the same numbers."""

import math
from collections.abc import Sequence
from typing import Any

from lurk.service.figures.layout import Figure

WIDTH, ROW, LABELS, VALUES = 360, 15, 150, 48
HEIGHT, BASE = 110, 14
COLOUR, LINE = "#3b6fb6", "#888"
FONT = 'font-family="system-ui,sans-serif" font-size="11" fill="currentColor"'


def bars_svg(figure: Figure) -> str:
    """Horizontal bars with labels, whiskers, values and the dashed line of the mean over all classes.

    Args:
        figure: What `class_bars` gives.

    Returns:
        An `<svg>` element.
    """
    trace, layout = figure["data"][0], figure["layout"]
    means, halves, labels = trace["x"], trace["error_x"]["array"], layout["yaxis"]["ticktext"]
    overall = [shape["x0"] for shape in layout["shapes"]]
    ends = [end for mean, half in zip(means, halves, strict=True) for end in (mean - half, mean + half)]
    at = _scale(min(0.0, *ends, *overall), max(0.0, *ends, *overall), LABELS, WIDTH - VALUES)
    parts = []
    for row, (mean, half, label, data) in enumerate(zip(means, halves, labels, trace["customdata"], strict=True)):
        y = row * ROW
        left, right = sorted((at(0.0), at(mean)))
        shown = (
            f"<title>{data[0]}: {mean:.4g}{data[2]}, n = {data[1]}</title>"
            f'<text x="{LABELS - 4}" y="{y + 11}" text-anchor="end" {FONT}>{label.strip()}</text>'
            f'<rect x="{left:.1f}" y="{y + 2}" width="{right - left:.1f}" height="{ROW - 4}" fill="{COLOUR}"/>'
            f'<text x="{WIDTH - VALUES + 4}" y="{y + 11}" {FONT}>{mean:.3g}</text>'
        )
        parts.append(f"<g>{shown}{_line(at(mean - half), y + ROW / 2, at(mean + half), y + ROW / 2)}</g>")
    height = ROW * len(means)
    parts += [_line(at(mean), 0, at(mean), height, ' stroke-dasharray="4 3"') for mean in overall]
    return _svg(parts, height)


def histogram_svg(figure: Figure) -> str:
    """A histogram with logarithmic heights, and its lowest and highest value below.

    Args:
        figure: What `histogram` gives.

    Returns:
        An `<svg>` element.
    """
    trace, (low, high) = figure["data"][0], figure["layout"]["yaxis"]["range"]
    left, right = figure["layout"]["xaxis"]["range"]
    at = _scale(left, right, 0, WIDTH)
    parts = []
    for middle, width, count, data in zip(trace["x"], trace["width"], trace["y"], trace["customdata"], strict=True):
        tall = max((math.log10(count) - low) / (high - low), 0.0) * (HEIGHT - BASE)
        x0, x1 = at(middle - width / 2), at(middle + width / 2)
        parts.append(
            f'<rect x="{x0:.1f}" y="{HEIGHT - BASE - tall:.1f}" width="{max(x1 - x0 - 0.5, 0.5):.1f}" '
            f'height="{tall:.1f}" fill="{COLOUR}"><title>{data[0]} to {data[1]}: {count:,.0f} positions</title></rect>'
        )
    first, last = trace["customdata"][0][0], trace["customdata"][-1][1]
    parts.append(f'<text x="0" y="{HEIGHT - 2}" {FONT}>{first}</text>')
    parts.append(f'<text x="{WIDTH}" y="{HEIGHT - 2}" text-anchor="end" {FONT}>{last}</text>')
    return _svg(parts, HEIGHT)


def _scale(low: float, high: float, start: float, end: float) -> Any:
    """A function from values to pixels."""
    span = (high - low) or 1.0
    return lambda value: start + (value - low) / span * (end - start)


def _line(x1: float, y1: float, x2: float, y2: float, more: str = "") -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{LINE}"{more}/>'


def _svg(parts: Sequence[str], height: float) -> str:
    size = f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">{"".join(parts)}</svg>'
