"""The layers of a study: a dropdown and a slider in step with each other, and the facts of the chosen one."""

from functools import partial
from typing import Any

from dash import Dash, Input, Output, State, dcc, html
from dash.development.base_component import Component

from lurk.records import LayerInfo, counted
from lurk.service.service import Service
from lurk.service.unit_words import layer_words, units_words
from lurk.web.ui import ids
from lurk.web.ui.clientside import attributes, bind
from lurk.web.ui.panels import PANELS, heading
from lurk.web.ui.request_body import name

HELP = (
    "A layer is a step of the network. Those on the left of the slider are close to the image's pixels, those on the "
    "right close to its answer.\n"
    "Units are the layer's channels: for a convolution, its filters. The output is the size of what the layer gives "
    "for one image. The receptive field is the square of pixels that one position of the output can see; “whole image” "
    "means that every position sees all of it.\n"
    "Values are taken after the normalisation and activation that directly follow the layer, as the rest of the "
    "network sees them. A layer marked “raw” belongs to a model whose graph could not be traced: its own output is "
    "taken."
)


def layout() -> Component:
    """The panel, empty until the layers of a study are loaded."""
    return html.Section(
        [
            heading("Layer", HELP),
            html.Div(
                dcc.Dropdown(
                    id=ids.LAYER_CHOICE,
                    clearable=False,
                    placeholder="Loading the model…",
                    optionHeight=50,
                    maxHeight=420,
                    className="layer-choice",
                ),
                className="choice-frame",
            ),
            html.Div(
                [
                    html.Label("Layer, from pixels to answer", htmlFor=ids.LAYER_SLIDER, className="visually-hidden"),
                    dcc.Input(id=ids.LAYER_SLIDER, type="range", min=0, max=0, step=1, value=0),
                    html.Div(
                        [html.Span("pixels"), html.Span("answer")],
                        className="slider-ends",
                        **attributes(aria_hidden="true"),
                    ),
                    html.Output(id=ids.LAYER_PREVIEW, className="layer-preview"),
                ],
                className="slider-frame",
            ),
            html.Div(id=ids.LAYER_FACTS),
        ],
        className="layers",
        **attributes("Layer"),
    )


def layer_list(service: Service, study: object, _ready: object) -> dict[str, Any]:
    """Each layer for the scripts: name, units, positions, and what its units are called if not by their numbers."""
    view = service.study(name(study)) if study is not None else None
    if view is None:
        return {"study": None, "layers": [], "channels": 0}
    found = [
        {
            "name": layer.name,
            "units": layer.units,
            "grid": layer.grid,
            "heads": layer.heads,
            "names": service.unit_names(name(study), layer.name) if layer.class_scores or layer.heads else None,
        }
        for layer in service.layers(name(study))
    ]
    return {"study": study, "layers": found, "channels": view.channels}


def options(service: Service, study: object, _ready: object) -> list[dict[str, Any]]:
    """The dropdown's options in the order of the forward pass: name, type, number of units and shape of each layer."""
    if study is None or service.study(name(study)) is None:
        return []
    return [
        {
            "value": layer.name,
            "search": f"{layer.name} {layer.kind} {layer.words}",
            "label": html.Span(
                [
                    html.Span(layer.name, className="name"),
                    html.Span(f"{kind(layer)} · {count(layer)} · {shape(layer)}", className="option-facts"),
                ],
                className="option",
            ),
        }
        for layer in service.layers(name(study))
    ]


def facts(service: Service, place: object, _ready: object) -> Component | None:
    """Type, units, output and receptive field of a layer."""
    if not isinstance(place, dict):
        return None
    study, layer = name(place.get("study")), name(place.get("layer"))
    if service.study(study) is None:
        return None
    for info in service.layers(study):
        if info.name == layer:
            module = [("Module", info.kind)] if info.words else []
            rows = [
                ("Type", kind(info)),
                *module,
                ("Units", f"{info.units:,}"),
                ("Output", shape(info)),
                ("Sees", field(info)),
            ]
            if layer_words(layer):
                rows.insert(1, ("Part", layer_words(layer)))
            if units_words(info):
                rows.append(("Units are", units_words(info)))
            if info.tap == "raw":
                rows.append(("Values", "raw: before normalisation and activation"))
            return html.Dl(
                [part for term, words in rows for part in (html.Dt(term), html.Dd(words))], className="facts"
            )
    return None


def kind(layer: LayerInfo) -> str:
    """What a layer is: plain words if there are any, else the name of its class."""
    return layer.words or layer.kind


def count(layer: LayerInfo) -> str:
    """How many units a layer has, as `64 units`, `1 unit` or `12 heads`."""
    return counted(layer.units, "head" if layer.heads else "unit")


def shape(layer: LayerInfo) -> str:
    """Shape of one image's output, as `64 × 56 × 56`."""
    return " × ".join(str(side) for side in layer.shape)


def field(layer: LayerInfo) -> str:
    """Receptive field in words, as `43 × 43 pixels, every 4`."""
    if layer.receptive_field is None:
        return "the whole image"
    height, width = layer.receptive_field
    words = f"{height:g} × {width:g} pixels"
    if layer.jump is None or layer.grid == (1, 1):
        return words
    rows, cols = layer.jump
    return f"{words}, every {rows:g}" if rows == cols else f"{words}, every {rows:g} down and {cols:g} across"


@PANELS.register("layers")
def register(app: Dash, service: Service) -> None:
    """Bind the panel to an app."""
    study, ready = Input(ids.STUDY, "data"), Input(ids.READY, "data")
    app.callback(Output(ids.LAYERS, "data"), study, ready)(partial(layer_list, service))
    app.callback(Output(ids.LAYER_CHOICE, "options"), study, ready)(partial(options, service))
    app.callback(Output(ids.LAYER_FACTS, "children"), Input(ids.LAYER, "data"), ready)(partial(facts, service))
    bind(
        app,
        "showLayer",
        Output(ids.LAYER_CHOICE, "value"),
        Output(ids.LAYER_SLIDER, "max"),
        Output(ids.LAYER_SLIDER, "value"),
        Output(ids.LAYER_PREVIEW, "children"),
        Input(ids.LAYER, "data"),
        Input(ids.LAYERS, "data"),
        State(ids.LAYER_CHOICE, "value"),
    )
    bind(app, "chooseLayer", Input(ids.LAYER_CHOICE, "value"), at_start=False)
