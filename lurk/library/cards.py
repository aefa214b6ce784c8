"""What Jupyter shows of an index, a layer and a unit: HTML with its images inside, without server and scripts."""

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from lurk.library.charts import NO_VALUES, class_figure, histogram_figure
from lurk.library.data_uri import data_uri
from lurk.library.drawn_picture import stored_picture
from lurk.library.pictures import COLUMNS, TILE, grid_note, outline, shown
from lurk.library.stored_images import patch_webp, tiles, view_webp
from lurk.library.svg import bars_svg, histogram_svg
from lurk.records import counted
from lurk.service.unit_words import (
    BADGES,
    SENTENCES,
    facts,
    hits_title,
    idle_words,
    no_bars,
    no_hits,
    place_words,
    score_words,
    tie_words,
)
from lurk.storage.diagnosis import read_diagnosis, read_summary
from lurk.storage.webp import SPRITE_MIMETYPE, encode_sprite

if TYPE_CHECKING:
    from lurk.library.index import Index
    from lurk.library.layer import Layer
    from lurk.library.unit import Kind, Unit

PER_SHEET = 256
SIDE = 110
FACE = "font-family:system-ui,sans-serif;font-size:12px"
QUIET = "opacity:.7"
WARNING = "background:#b3261e;color:#fff;padding:4px 8px;margin:4px 0"


def index_card(index: "Index") -> str:
    """An index: its model and images, how far it is, and its layers."""
    manifest = index.manifest
    rows = "".join(
        f"<tr><td><code>{escape(layer.name)}</code></td><td>{escape(layer.kind)}</td><td>{layer.units:,}</td></tr>"
        for layer in manifest.layers
    )
    swept = manifest.provenance
    title = f"{escape(swept.model)} ({escape(swept.weights)}) on {escape(manifest.image_set)}"
    table = f"<table><tr><th>layer</th><th>kind</th><th>units</th></tr>{rows}</table>"
    understood = (*manifest.notes, read_summary(index.folder, swept))
    notes = "".join(f"<div>{escape(note)}</div>" for note in understood if note)
    return _card(f"{title}, {counted(manifest.images, 'image')}", index, notes, table)


def layer_card(layer: "Layer") -> str:
    """A layer: a tile a unit, 256 to an image."""
    drawn = tiles(layer)
    sheets = [drawn[at : at + PER_SHEET] for at in range(0, len(drawn), PER_SHEET)]
    parts = [f'<p style="{QUIET}">{escape(grid_note(layer))}; {COLUMNS} a row</p>']
    for number_, sheet in enumerate(sheets):
        columns = min(COLUMNS, len(sheet))
        first = number_ * PER_SHEET
        words = f"units {first} to {first + len(sheet) - 1}"
        source = data_uri(encode_sprite(sheet, TILE, columns), SPRITE_MIMETYPE)
        parts.append(
            f'<div>{words}</div><img src="{source}" alt="{words}" width="{columns * 40}" style="max-width:100%">'
        )
    return _card(f"<code>{escape(layer.name)}</code> {escape(layer.kind)}", layer.index, *parts)


def unit_card(unit: "Unit") -> str:
    """A unit: what it wants to see, what it saw, what it answers to."""
    badge = BADGES.get(unit.state)
    title = f"<code>{escape(unit.layer)}</code> {escape(unit.view.name)}"
    if badge:
        title += f' <span style="border:1px solid;padding:0 4px" title="{escape(badge[1])}">{escape(badge[0])}</span>'
    columns = (_wants(unit), _saw(unit), _answers(unit))
    content = "".join(f'<div style="min-width:200px;max-width:500px">{column}</div>' for column in columns)
    return _card(title, unit.index, f'<div style="display:flex;flex-wrap:wrap;gap:24px">{content}</div>')


def _wants(unit: "Unit") -> str:
    drawn = stored_picture(unit.index, unit.layer, unit.unit)
    if drawn is None:
        idle = escape(idle_words(unit))
        words = f"<p>{idle} No picture yet: <code>unit.plot_picture()</code> draws it.</p>"
        return _part("What it wants to see", words)
    pictures = "".join(_image(data, "drawn picture", 2 * SIDE) for data in drawn.webp)
    rows = "".join(f"<tr><td>{name}</td><td>{shown(value)}</td></tr>" for name, value in drawn.table(drawn.reached[0]))
    return _part("What it wants to see", f"{pictures}<table>{rows}</table>")


def _saw(unit: "Unit") -> str:
    found = _hits(unit, "max")
    return found if unit.view.info.grid == (1, 1) else found + _by_mean(_hits(unit, "mean"))


def _by_mean(content: str) -> str:
    """What is ranked by the mean over all positions, closed until somebody opens it."""
    return f'<details style="margin-top:8px"><summary>by mean over all positions</summary>{content}</details>'


def _hits(unit: "Unit", kind: "Kind") -> str:
    """The top images of a unit, three a row."""
    hits, title = unit.view.hits(kind), hits_title(unit, kind, unit.view.name)
    if not hits:
        return _part(title, f"<p>{escape(no_hits(unit))}</p>")
    pictures = "".join(_hit(unit, hit) for hit in hits)
    grid = f"display:grid;grid-template-columns:repeat(3,{SIDE * 3 // 2}px);gap:8px"
    ties = escape(tie_words(unit, kind))
    return _part(title, f'<div style="{QUIET}">{ties}</div><div style="{grid}">{pictures}</div>')


def _hit(unit: "Unit", hit: dict[str, Any]) -> str:
    """A top image with its patch outlined, the patch beside it, and score and class below."""
    words = escape(hit["class"] or hit["path"])
    view, patch, framed = _image(view_webp(unit.index, hit["image"]), words, SIDE), "", outline(unit, hit)
    if framed is not None:
        left, top, width, height = (f"{share:.3%}" for share in framed)
        frame = f"position:absolute;left:{left};top:{top};width:{width};height:{height};outline:2px solid #e6007a"
        view += f'<span style="{frame}"></span>'
    if not hit["whole"]:
        patch = _image(patch_webp(unit.index, hit["image"], hit["box"])[0], "its patch", SIDE // 2 - 4)
    spot = place_words(unit.view.info, hit["row"], hit["col"])
    place = escape(", ".join(filter(None, (hit["path"], spot))))
    pictures = f'<span style="position:relative;display:inline-block;width:{SIDE}px">{view}</span>{patch}'
    score = escape(score_words(hit, unit.view.info))
    return f'<div title="{place}"><div style="display:flex;gap:4px">{pictures}</div><b>{score}</b> {words}</div>'


def _answers(unit: "Unit") -> str:
    histogram, classes = histogram_figure(unit), _bars(unit, "max")
    if unit.view.info.grid != (1, 1) and not unit.view.no_classes:
        classes += _by_mean(_bars(unit, "mean"))
    if histogram is None:
        values = f"<p>{NO_VALUES}</p>"
    else:
        state = SENTENCES.get(unit.state, "")
        table = ", ".join(f"{escape(term)} {escape(value)}" for term, value in facts(unit))
        values = f"<p>{escape(state)}</p>{histogram_svg(histogram)}<p>{table}</p>"
    return _part("Classes it answers to", classes) + _part("How often it is active", values)


def _bars(unit: "Unit", kind: "Kind") -> str:
    bars = class_figure(unit, kind)
    return f"<p>{escape(no_bars(unit.view.no_classes))}</p>" if bars is None else bars_svg(bars)


def _part(title: str, content: str) -> str:
    return f'<div style="font-weight:600;margin:6px 0">{escape(title)}</div>{content}'


def _image(webp: bytes, words: str, width: int) -> str:
    style = f"width:{width}px;height:auto;image-rendering:auto;margin:0"
    return f'<img src="{data_uri(webp)}" alt="{words}" style="{style}">'


def _card(title: str, index: "Index", *parts: str) -> str:
    """A card with its title, what everybody must see of the index, and its parts."""
    heading = f'<div style="font-size:15px;font-weight:600">{title}</div>'
    return f'<div style="{FACE}">{heading}{"".join(_states(index))}{"".join(parts)}</div>'


def _states(index: "Index") -> Sequence[str]:
    """Warnings, how far the sweep is, and how many images could not be used."""
    manifest, found = index.manifest, list[str]()
    warnings = (manifest.notice, *(read_diagnosis(index.folder, manifest.provenance) or ()), index.stale)
    found += [f'<div style="{WARNING}">{escape(words)}</div>' for words in warnings if words]
    if not manifest.complete:
        found.append(f"<div>from {manifest.done:,} of {counted(manifest.images, 'image')}</div>")
    if manifest.skipped:
        listed = "; ".join(f"{path}: {reason}" for _, path, reason in manifest.skipped[:20])
        count = f"{counted(len(manifest.skipped), 'image')} could not be used"
        found.append(f'<div title="{escape(listed)}">{count}</div>')
    return found
