"""What is said of a unit and of a layer, on the page, in the JSON and in a notebook."""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lurk.records import LayerInfo, UnitRecord

BADGES = {
    "dead": ("dead", "never active on these images"),
    "always_on": ("always on", "above 0 nearly everywhere, on every image"),
    "saturated": ("saturated", "mostly at a bound of its activation"),
    "constant": ("constant", "the same value at every position of every image"),
}
SENTENCES = {
    "dead": "Dead: never active on these images, so none of them excites it.",
    "always_on": "Always on: it is above 0 nearly everywhere, whatever the image.",
    "saturated": "Saturated: where it is active, it is mostly at a bound of its activation.",
    "constant": "Constant: it has the same value at every position of every image.",
}
STATES = {"always_on": ", always on", "saturated": ", saturated"}
_HEADS = re.compile(r":heads\d*(?=:|$)")
_TOKEN = re.compile(r":(?P<kind>class|register|extra|distillation)(?P<number>\d*)$")
_CALL = re.compile(r":(?P<number>\d+)$")


def number(value: float, digits: int = 4) -> str:
    """A number with so many digits and a minus sign."""
    return f"{value:.{digits}g}".replace("-", "−")


def unit_name(info: LayerInfo, unit: int, outputs: Sequence[str] | None) -> str:
    """What a unit is called: `class tench` for a class score, `head 3 of 12` for an attention head, else `unit 3`.

    Args:
        info: Its layer.
        unit: Its channel number.
        outputs: Names of the network's outputs; None if they are not known.

    Returns:
        The name.
    """
    if info.heads:
        return f"head {unit} of {info.units}"
    if not info.class_scores:
        return f"unit {unit}"
    if outputs is not None and len(outputs) == info.units:
        return f"class {outputs[unit]}"
    return "the class score" if info.units == 1 else f"class {unit}"


def layer_words(layer: str) -> str:
    """What is special about a layer's units, by the end of its name; empty for most layers.

    >>> [layer_words(layer) for layer in ("mlp:register2", "relu:2", "attn:heads:class", "conv1")]
    ['register token 2', 'call 2 of the module', 'attention heads, class token', '']
    """
    token, call, heads = _TOKEN.search(layer), _CALL.search(_HEADS.sub("", layer)), _HEADS.search(layer)
    words = ["attention heads"] if heads else []
    words += [f"{token['kind']} token {token['number']}".strip()] if token else []
    words += [f"call {call['number']} of the module"] if call and not token else []
    return ", ".join(words)


def units_words(info: LayerInfo) -> str:
    """What the units of a layer are, if not its channels; empty for most layers."""
    if info.heads:
        return "attention heads; a value is the norm of what the head writes at a position"
    return "the model's class scores" if info.class_scores else ""


def place_words(info: LayerInfo, row: int, col: int) -> str:
    """A position in the layer's output; empty if there is only one."""
    rows, cols = info.grid
    if rows * cols == 1:
        return ""
    return f"row {row}, column {col}" if cols > 1 else f"position {row}"


def facts(record: UnitRecord) -> list[tuple[str, str]]:
    """The figures of a unit's distribution, each as what it is and its value."""
    found = [
        ("above 0", f"{record.fraction_positive:.1%}".replace("%", " %")),
        ("mean", number(record.mean, 3)),
        ("deviation", number(record.std, 3)),
    ]
    if 0.99 in record.quantiles:
        found.append(("99 % are below", number(record.quantiles[0.99], 3)))
    return found


def hits_title(record: UnitRecord, kind: str, name: str = "") -> str:
    """Heading of a unit's top images.

    Args:
        record: The unit.
        kind: Whether they are ranked by `max` or by `mean`.
        name: What the unit is called, from `unit_name`.

    Returns:
        The heading; of a unit that is never active it says so, with the value that comes nearest.
    """
    hits = record.hits_max if kind == "max" else record.hits_mean
    if record.state == "dead":
        nearest = f" ({number(hits[0].before, 2)})" if hits and hits[0].before is not None else ""
        return f"Never active on these images; these come nearest{nearest}"
    if name.startswith("class "):
        return f"Images with the highest score for {name}"
    on_average = " on average" if kind == "mean" else ""
    if name.startswith("head "):
        return f"Images in which this head writes most{on_average}"
    return f"Images that excite this unit most{on_average}"


def tie_words(record: UnitRecord, kind: str) -> str:
    """What is said of a unit's top images that have exactly the same value; empty if no two have.

    Args:
        record: The unit.
        kind: Whether they are ranked by `max` or by `mean`.

    Returns:
        One sentence.
    """
    hits, value = (record.hits_max, "highest value") if kind == "max" else (record.hits_mean, "mean")
    times = Counter((hit.score, hit.before) for hit in hits)
    tied = sum(count for count in times.values() if count > 1)
    if not tied:
        return ""
    if len(times) == 1:
        return f"All {tied} have exactly the same {value}; they are in the order of the image set."
    return f"{tied} of the {len(hits)} share their exact {value} with another; those are in the order of the image set."


def no_hits(record: UnitRecord) -> str:
    """Why a unit has no top images."""
    if record.state == "constant":
        return f"Always {number(record.mean)} on these images, so none of them excites it more than another."
    return "No image has been through this unit yet."


def idle_words(record: UnitRecord) -> str:
    """Why a picture of the unit is drawn only if somebody asks for it; empty for a unit that is active."""
    if record.state == "constant":
        return f"Always {number(record.mean)} on these images."
    return "Never active on these images." if record.state == "dead" else ""


def is_at_bound(score: float, info: LayerInfo) -> bool:
    """Whether a score is a bound of the layer's activation function."""
    value = np.float32(score)
    at_upper = info.bound is not None and value >= np.float32(info.bound)
    return bool(at_upper or (info.lower_bound is not None and value <= np.float32(info.lower_bound)))


def score_words(hit: Mapping[str, Any], info: LayerInfo) -> str:
    """The score of a hit; with the value before the activation function where the function hides it.

    >>> relu6 = LayerInfo("a", "Conv2d", 8, (8, 1, 1), None, None, "post", bound=6.0, rectified=True)
    >>> [score_words({"score": score, "before": before}, relu6) for score, before in ((6, 9.31), (3, 3), (0, -0.8))]
    ['6, at its bound; 9.31 before it', '3', '0, inactive; −0.8 before it']

    Args:
        hit: A hit with `score` and `before`, as `UnitView.hits` gives it.
        info: Its layer.

    Returns:
        The words.
    """
    return ", ".join(filter(None, [number(hit["score"]), before_words(hit, info)]))


def before_words(hit: Mapping[str, Any], info: LayerInfo) -> str:
    """The value before the activation function where the function hides it; empty elsewhere."""
    score, before = hit["score"], hit["before"]
    if before is None:
        return ""
    if info.rectified and not score:
        return f"inactive; {number(before, 3)} before it"
    return f"at its bound; {number(before, 3)} before it" if is_at_bound(score, info) else ""


def tile_words(name: str, state: str, top: Mapping[str, Any], info: LayerInfo, most: str = "") -> str:
    """What is said of a unit's tile in the grid.

    Args:
        name: What the unit is called, from `unit_name`.
        state: Its state.
        top: `score` and `before` of its best hit; NaN as the score without one.
        info: Its layer.
        most: The class that excites it most on average; empty if none is known.

    Returns:
        Name, highest score, state and class.
    """
    if state == "constant":
        value = "" if math.isnan(top["score"]) else f" {number(top['score'])}"
        return f"{name}, always{value or ' the same'} on these images"
    if math.isnan(top["score"]):
        return f"{name}, no image yet"
    if state == "dead":
        nearest = "" if top["before"] is None else f", nearest {number(top['before'])}"
        return f"{name}, never active on these images{nearest}"
    return f"{name}, highest {score_words(top, info)}{STATES.get(state, '')}{f'; most for {most}' if most else ''}"


def score_meaning(hit: Mapping[str, Any], info: LayerInfo) -> str:
    """What the score of a hit is, with the value that enters the activation function if there is one."""
    if info.heads:
        return "score: the norm of what the head writes"
    if hit["before"] is None:
        return "score"
    return f"score; {number(hit['before'])} before {info.activation or 'its activation'}"


def no_bars(no_classes: str) -> str:
    """Why a unit has no bars, given why the image set has no classes; that is empty if it has some."""
    return f"No classes: {no_classes or 'no image of any class has been seen yet'}."
