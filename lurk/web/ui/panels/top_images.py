"""What a unit saw: its top images, each with the patch outlined in it and beside it, and room for the chosen map."""

from typing import Any

from dash import html
from dash.development.base_component import Component

from lurk.records import LayerInfo
from lurk.service.unit_view import UnitView
from lurk.service.unit_words import before_words, hits_title, no_hits, number, place_words, score_meaning, tie_words
from lurk.web.ui.clientside import attributes
from lurk.web.ui.panels import SECTIONS, Kind, Section, heading
from lurk.web.ui.path_prefix import outside

HELP = {
    "max": (
        "An image's score is the unit's highest value over all its positions. The outline, and the picture beside the "
        "image, is the patch: exactly the pixels that can change that value. Where the patch reaches beyond the image, "
        "the network saw padding, drawn in grey."
    ),
    "mean": (
        "An image's score is the mean of the unit's values over all its positions. The outline, and the picture beside "
        "the image, is the patch: exactly the pixels that can change the highest of these values."
    ),
}
ORDER = (
    "Images are as the network sees them, after resizing and cropping. Where an activation function such as ReLU6 or "
    "the sigmoid gives the score, the images are in the order of the value that enters it, which tells apart the many "
    "images that reach its bound or stay at 0. Images with exactly the same value are in the order of the image set. "
    "Often that value is the unit's answer where nothing enters it."
)
MAPS = (
    "A map, chosen below, says for every pixel of an image how much it has to do with the unit's value. Each method "
    "has its own way to find out, and to mislead: look at several, and at the sanity check."
)

WHOLE = (
    "Something before this layer looks at the whole image at once, so every position sees all of it and there is no "
    "smaller patch. The dashed square marks where in the layer's output the highest value is."
)
ALONE = "The layer gives one value for the whole image, so there is no smaller patch. An image's score is that value."

POSITION = ": position of the highest value in the layer's output"


def hits(view: UnitView, kind: Kind) -> Component:
    """The top images of a unit."""
    found = view.hits(kind)
    is_whole = bool(found) and all(hit["whole"] for hit in found)
    words = (WHOLE if view.info.grid != (1, 1) else ALONE) if is_whole else HELP[kind]
    has_places = view.info.grid != (1, 1)
    note = html.Span("every position sees all of it" if is_whole and has_places else "", className="note small")
    title = hits_title(view.record, kind, view.name)
    content: Component = html.P(no_hits(view.record), className="why")
    if found:
        pictures = [_hit(hit, rank, view.info) for rank, hit in enumerate(found, 1)]
        content = html.Ol(pictures, className="hits whole" if is_whole else "hits")
    scrolled = html.Div(content, className="scroll", tabIndex=0, role="group", **attributes(title))
    ties = [html.P(said, className="note")] if (said := tie_words(view.record, kind)) else []
    parts = [heading(title, f"{words}\n{ORDER}\n{MAPS}", note), *ties, html.Div(className="map-bar"), scrolled]
    return html.Section([*parts, html.Div(className="map-closeup")], className="section grows")


def _hit(hit: dict[str, Any], rank: int, info: LayerInfo) -> Component:
    words = hit["class"] or hit["path"]
    place, before = place_words(info, hit["row"], hit["col"]), before_words(hit, info)
    view = [html.Img(src=outside(hit["view_url"]), alt=f"{rank}: {words}"), *_outline(hit, info)]
    pictures: list[Component] = [html.Div(view, className="view")]
    if not hit["whole"]:
        pictures.append(html.Img(src=outside(hit["patch_url"]), alt="its patch", className="patch"))
    pictures.append(html.Div(className="map-slot", **attributes(data_image=str(hit["image"]), data_words=words)))
    return html.Li(
        [
            html.Div(pictures, className="pictures"),
            html.Div(
                [
                    html.Span(number(hit["score"]), className="score", title=score_meaning(hit, info)),
                    html.Span(words, className="class", title=hit["path"]),
                    html.Span(before or place, className="place", title=f"{place}{POSITION}" if place else None),
                ],
                className="caption",
            ),
        ],
        className="hit",
    )


def _outline(hit: dict[str, Any], info: LayerInfo) -> list[Component]:
    """The patch's frame; where the patch is the whole image, the frame of the position in the layer's output."""
    shares, kind = hit["outline"], "outline"
    if hit["whole"]:
        rows, cols = info.grid
        if (rows, cols) == (1, 1):
            return []
        shares, kind = [hit["col"] / cols, hit["row"] / rows, 1 / cols, 1 / rows], "outline place"
    names = ("left", "top", "width", "height")
    style = {name: f"{share:.3%}" for name, share in zip(names, shares, strict=True)}
    return [html.Span(className=kind, style=style)]


SECTIONS.register("hits")(Section("saw", 0, hits))
