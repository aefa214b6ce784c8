"""Figures made of pictures: top images, patches, drawn pictures, and the grid of a layer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lurk.library.charts import plotted, titled, words_alone
from lurk.library.data_uri import data_uri
from lurk.library.stored_images import patch_webp, tiles, view_webp
from lurk.records import counted
from lurk.service.figures.layout import Figure, figure, text
from lurk.service.grid_view import grid
from lurk.service.unit_words import (
    SENTENCES,
    before_words,
    hits_title,
    no_hits,
    number,
    place_words,
    score_words,
    tie_words,
)
from lurk.storage.webp import SPRITE_MIMETYPE, encode_sprite

if TYPE_CHECKING:
    from lurk.library.drawn_picture import Drawn
    from lurk.library.layer import Layer
    from lurk.library.unit import Kind, Unit

CELL, CAPTION, GAP = 170, 46, 0.06  # width of a cell and height of a caption in pixels, gap as a share of the width
LONGEST = 24
TILE, COLUMNS = 64, 16


@dataclass(frozen=True)
class Cell:
    """A picture of a figure.

    Args:
        source: Address of the picture.
        aspect: Its height as a share of its width.
        captions: Lines below it.
        hover: What is shown when the pointer is on it.
        outline: Left, top, width and height of a frame in it, as shares of its sides; None without one.
    """

    source: str
    aspect: float
    captions: tuple[str, ...]
    hover: str
    outline: tuple[float, float, float, float] | None = None


def top_images(unit: "Unit", kind: "Kind") -> Any:
    """The top images of a unit, each with its patch outlined."""
    return _hits(
        unit, kind, hits_title(unit, kind, unit.view.name), [_view_cell(unit, hit) for hit in unit.view.hits(kind)]
    )


def patches(unit: "Unit", kind: "Kind") -> Any:
    """The patches of the top images of a unit."""
    title = f"patches; {hits_title(unit, kind, unit.view.name)}"
    return _hits(unit, kind, title, [_patch_cell(unit, hit) for hit in unit.view.hits(kind)])


def _hits(unit: "Unit", kind: "Kind", title: str, cells: Sequence[Cell]) -> Any:
    view = unit.view
    if not cells:
        return plotted(words_alone(no_hits(unit)), unit, title, height=160)
    score = "highest value" if kind == "max" else "mean"
    notes = [f"ranked by the unit's {score}"]
    if view.is_partial:
        notes[0] += f", from {view.seen:,} of {counted(view.total, 'image')}"
    if all(hit["whole"] for hit in view.hits(kind)):
        notes.append("every position sees the whole image; the frame is where in the output the highest value is")
    notes += filter(None, [tie_words(unit, kind)])
    notes += [SENTENCES[unit.state]] if unit.state in SENTENCES else []
    drawn, width, height = cells_figure(cells)
    return plotted(drawn, unit, title, *notes, height=height + 60, width=width)


def _view_cell(unit: "Unit", hit: dict[str, Any]) -> Cell:
    height, width = unit.index.manifest.input_shape[1:]
    return Cell(data_uri(view_webp(unit.index, hit["image"])), height / width, *_words(unit, hit), outline(unit, hit))


def _patch_cell(unit: "Unit", hit: dict[str, Any]) -> Cell:
    data, aspect = patch_webp(unit.index, hit["image"], hit["box"])
    return Cell(data_uri(data), aspect, *_words(unit, hit))


def _words(unit: "Unit", hit: dict[str, Any]) -> tuple[tuple[str, ...], str]:
    """The captions of a hit, and what is shown when the pointer is on it."""
    info, score = unit.view.info, number(hit["score"])
    said = (hit["path"], hit["class"], score_words(hit, info), place_words(info, hit["row"], hit["col"]))
    captions = (score, before_words(hit, info), hit["class"] or hit["path"])
    return tuple(filter(None, captions)), "<br>".join(text(words) for words in said if words)


def outline(unit: "Unit", hit: dict[str, Any]) -> tuple[float, float, float, float] | None:
    """Frame of the patch; where that is the whole image, of the position in the layer's output."""
    if not hit["whole"]:
        left, top, width, height = hit["outline"]
        return left, top, width, height
    rows, cols = unit.view.info.grid
    return None if (rows, cols) == (1, 1) else (hit["col"] / cols, hit["row"] / rows, 1 / cols, 1 / rows)


def drawn_pictures(unit: "Unit", drawn: "Drawn") -> Any:
    """The drawn pictures of a unit, with the values that they reach beside those of the best real image."""
    cells = []
    for data, aspect, reached in zip(drawn.webp, drawn.aspects, drawn.reached, strict=True):
        words = (f"reaches {shown(reached['reached_max'])}", f"best image {shown(reached['best_real_max'])}")
        hover = "<br>".join(f"{text(name)}: {shown(value)}" for name, value in drawn.table(reached))
        cells.append(Cell(data_uri(data), aspect, words, hover))
    figure_, width, height = cells_figure(cells, cell=280)
    note = f"drawn, not photographed, by {drawn.method}"
    return plotted(figure_, unit, "what it wants to see", note, height=height + 60, width=max(width, 420))


def shown(value: float | None) -> str:
    """A value in four digits; a dash for None."""
    return "–" if value is None else number(value)


def unit_grid(layer: "Layer") -> Any:
    """The grid of a layer: a tile a unit, with score and state when the pointer is on it."""
    view = grid(layer.index.stored, layer.name)
    rows = -(-layer.units // COLUMNS)
    columns = min(COLUMNS, layer.units)
    sheet = encode_sprite(tiles(layer), TILE, columns)
    trace = {
        "type": "scatter",
        "mode": "markers",
        "marker": {"size": TILE - 8, "symbol": "square", "opacity": 0},
        "x": [unit % columns + 0.5 for unit in range(layer.units)],
        "y": [unit // columns + 0.5 for unit in range(layer.units)],
        "customdata": [[label] for label in view["labels"]],
        "hovertemplate": "%{customdata[0]}<extra></extra>",
    }
    image = {
        "source": data_uri(sheet, SPRITE_MIMETYPE),
        "x": 0,
        "y": 0,
        "sizex": columns,
        "sizey": rows,
        "sizing": "stretch",
    }
    axis = {"showgrid": False, "zeroline": False, "showticklabels": False}
    drawn = figure(
        [trace],
        images=[image | {"xref": "x", "yref": "y", "xanchor": "left", "yanchor": "top", "layer": "below"}],
        xaxis=axis | {"range": [0, columns]},
        yaxis=axis
        | {"range": [rows, 0], "tickvals": [row + 0.5 for row in range(rows)], "showticklabels": True}
        | {"ticktext": [f"{row * columns} " for row in range(rows)]},
        margin={"l": 40, "r": 10, "t": 10, "b": 10},
    )
    size = {"height": TILE * rows + 90, "width": TILE * columns + 60}
    return titled(drawn, f"{layer.name}: {counted(layer.units, 'unit')}", grid_note(layer), **size)


def grid_note(layer: "Layer") -> str:
    """What the tiles of a grid are, and how many units are in which state."""
    states = layer.states
    counts = {state: states.count(state) for state in dict.fromkeys(states) if state != "ok"}
    found = ", ".join(f"{count:,} {state.replace('_', ' ')}" for state, count in counts.items())
    return "each tile is the patch that excites a unit most" + (f"; {found}" if found else "")


def cells_figure(cells: Sequence[Cell], cell: int = CELL) -> tuple[Figure, int, int]:
    """Lay pictures out in rows.

    Args:
        cells: The pictures.
        cell: Width of each in pixels.

    Returns:
        The figure, its width and its height in pixels.
    """
    columns = min(len(cells), 5 if cell == CELL else 3)
    tall = max(one.aspect for one in cells) + CAPTION / cell + GAP
    rows = -(-len(cells) // columns)
    places = [(at % columns, (at // columns) * tall) for at in range(len(cells))]
    width = 1 - GAP
    hidden = {"visible": False, "fixedrange": True}
    drawn = figure(
        [_hover(cells, places, width)],
        images=[
            {"source": one.source, "x": x, "y": y, "sizex": width, "sizey": width * one.aspect}
            | {"xref": "x", "yref": "y", "xanchor": "left", "yanchor": "top", "sizing": "stretch", "layer": "below"}
            for one, (x, y) in zip(cells, places, strict=True)
        ],
        annotations=[_caption(one, x, y + width * one.aspect) for one, (x, y) in zip(cells, places, strict=True)],
        shapes=[_frame(one, x, y, width) for one, (x, y) in zip(cells, places, strict=True) if one.outline],
        xaxis=hidden | {"range": [0, columns]},
        yaxis=hidden | {"range": [rows * tall, 0]},
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
    )
    return drawn, columns * cell + 20, round(rows * tall * cell) + 20


def _hover(cells: Sequence[Cell], places: Sequence[tuple[float, float]], width: float) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "marker": {"size": 60, "symbol": "square", "opacity": 0},
        "x": [x + width / 2 for x, _ in places],
        "y": [y + width * one.aspect / 2 for one, (_, y) in zip(cells, places, strict=True)],
        "customdata": [[one.hover] for one in cells],
        "hovertemplate": "%{customdata[0]}<extra></extra>",
    }


def _caption(cell: Cell, x: float, y: float) -> dict[str, Any]:
    lines = [text(line, LONGEST) for line in cell.captions]
    place = {"x": x, "y": y, "xref": "x", "yref": "y", "xanchor": "left", "yanchor": "top", "align": "left"}
    return place | {"text": "<br>".join(lines), "showarrow": False, "font": {"size": 10}}


def _frame(cell: Cell, x: float, y: float, side: float) -> dict[str, Any]:
    left, top, width, height = cell.outline or (0.0, 0.0, 1.0, 1.0)
    x0, y0 = x + side * left, y + side * cell.aspect * top
    corner = {"x1": x0 + side * width, "y1": y0 + side * cell.aspect * height}
    return {"type": "rect", "x0": x0, "y0": y0, "line": {"width": 2, "color": "#e6007a"}} | corner
