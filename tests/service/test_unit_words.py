"""What is said of units: by what they are, with the right sign, and nothing that is not so."""

import dataclasses
import doctest

import numpy as np
import pytest

from lurk.records import Hit, LayerInfo, UnitRecord
from lurk.service import unit_words
from lurk.service.unit_words import (
    hits_title,
    idle_words,
    is_at_bound,
    layer_words,
    no_hits,
    place_words,
    score_meaning,
    score_words,
    tie_words,
    tile_words,
    unit_name,
    units_words,
)

PLAIN = LayerInfo("conv", "Conv2d", 4, (4, 7, 7), None, None, "post", grid=(7, 7))
RELU6 = dataclasses.replace(PLAIN, bound=6.0, activation="relu6", rectified=True)
TANH = dataclasses.replace(PLAIN, bound=1.0, lower_bound=-1.0, activation="tanh")
SIGMOID = dataclasses.replace(PLAIN, bound=1.0, lower_bound=0.0, activation="sigmoid")
HEADS = dataclasses.replace(PLAIN, name="attn:heads", heads=True)
SCORES = LayerInfo("fc", "Linear", 3, (3,), None, None, "post", class_scores=True)
NAMES = ("tench", "goldfish", "great white shark, Carcharodon")


def hit(score, before=None):
    return {"score": score, "before": before}


def record(state="ok", mean=0.0, before=None):
    none = np.zeros(0)
    hits = () if state == "constant" else (Hit(0, "a.png", None, 0.0, 0, 0, (0, 0, 1, 1), before),)
    return UnitRecord("conv", 1, hits, hits, none, none, none, none, none, 9, mean, 0.0, 0.0, {}, state)


def test_the_examples_of_the_docstrings_are_right():
    assert doctest.testmod(unit_words).failed == 0
    assert doctest.testmod(unit_words).attempted >= 3


@pytest.mark.parametrize(
    ("info", "score", "before", "said"),
    [
        (RELU6, 6.0, 9.31, "6, at its bound; 9.31 before it"),
        (RELU6, 5.999, 5.999, "5.999"),
        (RELU6, 0.0, -0.8, "0, inactive; −0.8 before it"),
        (TANH, 1.0, 9.5, "1, at its bound; 9.5 before it"),
        (TANH, -1.0, -9.5, "−1, at its bound; −9.5 before it"),
        (TANH, -0.5, -0.549, "−0.5"),
        (SIGMOID, 0.0, -120.0, "0, at its bound; −120 before it"),
        (PLAIN, 6.0, None, "6"),
        (PLAIN, 0.0, None, "0"),
        (PLAIN, -3.25, None, "−3.25"),
    ],
)
def test_the_value_before_the_activation_is_said_where_the_activation_hides_it(info, score, before, said):
    assert score_words(hit(score, before), info) == said


@pytest.mark.parametrize("bound", [0.1, 0.3, 0.7, 1.1, 6.0])
def test_a_float32_score_at_a_bound_is_known_as_such(bound):
    info = dataclasses.replace(PLAIN, bound=bound)
    assert is_at_bound(float(np.float32(bound)), info)
    assert not is_at_bound(float(np.nextafter(np.float32(bound), np.float32(0))), info)


def test_on_hover_the_score_says_what_entered_which_activation():
    assert score_meaning(hit(6.0, 9.31), RELU6) == "score; 9.31 before relu6"
    assert score_meaning(hit(6.0), PLAIN) == "score"
    assert score_meaning(hit(1.0, 2.0), dataclasses.replace(PLAIN, bound=1.0)) == "score; 2 before its activation"


def test_a_class_score_is_called_by_its_class():
    assert [unit_name(SCORES, unit, NAMES) for unit in (0, 2)] == [
        "class tench",
        "class great white shark, Carcharodon",
    ]
    assert unit_name(SCORES, 2, None) == "class 2"
    assert unit_name(SCORES, 2, ("cat", "dog")) == "class 2"  # names of another number of classes are not its names
    assert unit_name(dataclasses.replace(SCORES, units=1), 0, None) == "the class score"
    assert unit_name(PLAIN, 2, ("a", "b", "c", "d")) == "unit 2"
    assert unit_name(HEADS, 2, ("a", "b", "c", "d")) == "head 2 of 4"


def test_a_head_is_said_to_write():
    name = unit_name(HEADS, 0, None)
    assert hits_title(record(), "max", name) == "Images in which this head writes most"
    assert hits_title(record(), "mean", name) == "Images in which this head writes most on average"
    assert score_meaning(hit(2.0), HEADS) == "score: the norm of what the head writes"
    assert [units_words(info).partition(";")[0] for info in (HEADS, SCORES, PLAIN)] == [
        "attention heads",
        "the model's class scores",
        "",
    ]


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        ("blocks.3.mlp:class", "class token"),
        ("blocks.3:class2", "class token 2"),
        ("blocks.3:register1", "register token 1"),
        ("relu:2", "call 2 of the module"),
        ("blocks.3.attn:2:heads", "attention heads, call 2 of the module"),
        ("blocks.3.attn:heads2:register1", "attention heads, register token 1"),
        ("layer1.0.conv1", ""),
        ("a:classy", ""),
        ("class", ""),
    ],
)
def test_the_end_of_a_layers_name_is_said_in_words(layer, said):
    assert layer_words(layer) == said


def test_a_position_is_said_only_where_there_are_several():
    assert place_words(PLAIN, 3, 4) == "row 3, column 4"
    assert place_words(SCORES, 0, 0) == ""
    assert place_words(dataclasses.replace(PLAIN, grid=(16, 1)), 3, 0) == "position 3"


def test_a_unit_that_is_never_active_has_images_that_come_nearest():
    assert hits_title(record("dead", before=-0.8), "max") == "Never active on these images; these come nearest (−0.8)"
    assert hits_title(record("dead"), "mean") == "Never active on these images; these come nearest"
    assert idle_words(record("dead")) == "Never active on these images."


def test_a_constant_unit_has_no_images_and_says_its_value():
    assert no_hits(record("constant", 0.37)) == (
        "Always 0.37 on these images, so none of them excites it more than another."
    )
    assert idle_words(record("constant", -0.37)) == "Always −0.37 on these images."
    assert "excite" in hits_title(record("constant"), "max")


def test_an_active_unit_is_drawn_at_once_and_its_list_is_called_what_it_is():
    assert idle_words(record()) == ""
    assert hits_title(record(), "max") == "Images that excite this unit most"
    assert hits_title(record(), "mean") == "Images that excite this unit most on average"
    assert hits_title(record(), "max", "class tench") == "Images with the highest score for class tench"


@pytest.mark.parametrize(
    ("state", "top", "said"),
    [
        ("ok", hit(3.25, 3.25), "unit 3, highest 3.25"),
        ("saturated", hit(6.0, 9.31), "unit 3, highest 6, at its bound; 9.31 before it, saturated"),
        ("always_on", hit(2.0, 2.0), "unit 3, highest 2, always on"),
        ("dead", hit(0.0, -0.8), "unit 3, never active on these images, nearest −0.8"),
        ("dead", hit(0.0), "unit 3, never active on these images"),
        ("constant", hit(0.37), "unit 3, always 0.37 on these images"),
        ("constant", hit(float("nan")), "unit 3, always the same on these images"),
        ("ok", hit(float("nan")), "unit 3, no image yet"),
    ],
)
def test_a_tile_says_name_score_and_state(state, top, said):
    assert tile_words("unit 3", state, top, RELU6) == said


def test_a_tile_says_which_class_excites_it_most():
    assert tile_words("unit 3", "ok", hit(3.25, 3.25), RELU6, "tench") == "unit 3, highest 3.25; most for tench"


def test_every_state_has_a_badge_and_a_sentence():
    assert set(unit_words.BADGES) == set(unit_words.SENTENCES) == {"dead", "always_on", "saturated", "constant"}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([(6.0, 9.0), (6.0, 8.0), (5.0, 5.0)], ""),
        ([(6.0, 9.0)], ""),
        ([], ""),
        (
            [(6.0, 9.0), (6.0, 9.0), (6.0, 9.0)],
            "All 3 have exactly the same {}; they are in the order of the image set.",
        ),
        ([(0.5, None), (0.5, None)], "All 2 have exactly the same {}; they are in the order of the image set."),
        (
            [(6.0, 9.0), (6.0, 9.0), (6.0, 8.0), (5.0, 5.0), (5.0, 5.0)],
            "4 of the 5 share their exact {} with another; those are in the order of the image set.",
        ),
    ],
)
def test_it_is_said_how_many_top_images_no_value_tells_apart(values, said):
    hits = tuple(
        Hit(n, f"{n}.png", None, score, 0, 0, (0, 0, 1, 1), before) for n, (score, before) in enumerate(values)
    )
    for kind, name in (("max", "highest value"), ("mean", "mean")):
        shown = dataclasses.replace(record(), **{"hits_max": (), "hits_mean": (), f"hits_{kind}": hits})
        assert tie_words(shown, kind) == said.format(name)
