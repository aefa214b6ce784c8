import json

import numpy as np
import pytest

from lurk.errors import LurkError
from lurk.method_spec import MethodSpec, Option

STEPS = Option("steps", 50, "How many.", 1, 100)
SHARE = Option("share", 0.5, "How much.", 0.0)
FAST = Option("fast", False, "Whether.")
COLOUR = Option("colour", "red", "Which.", choices=("red", "blue"))
TITLE = Option("title", "", "What it is called.")
SPEC = MethodSpec(
    "toy", "Toy", "Nothing.", "map", ("layer", "unit"), "Nobody, 2020", 1, options=(STEPS, SHARE, FAST, COLOUR)
)


@pytest.mark.parametrize(
    ("option", "given", "expected"),
    [
        (STEPS, 7, 7),
        (STEPS, "7", 7),
        (STEPS, 7.0, 7),
        (STEPS, np.int64(7), 7),
        (SHARE, np.float32(0.25), 0.25),
        (SHARE, 1, 1.0),
        (SHARE, "0.25", 0.25),
        (FAST, True, True),
        (FAST, "True", True),
        (FAST, "false", False),
        (COLOUR, "blue", "blue"),
        (TITLE, "x", "x"),
    ],
)
def test_a_value_is_read_in_the_options_type(option, given, expected):
    found = option.read(given)
    assert found == expected
    assert type(found) is type(option.default)


@pytest.mark.parametrize(
    ("option", "given", "words"),
    [
        (STEPS, 0, "steps is a number from 1 to 100, not 0"),
        (STEPS, 101, "steps is a number from 1 to 100, not 101"),
        (STEPS, 1.5, "steps is a whole number, not '1.5'"),
        (STEPS, True, "steps is a whole number, not 'True'"),
        (STEPS, "many", "steps is a whole number, not 'many'"),
        (STEPS, [1], "steps is a whole number"),
        (SHARE, -0.1, "share is a number from 0, not -0.1"),
        (SHARE, "nan", "share is a number, not 'nan'"),
        (SHARE, float("inf"), "share is a number, not 'inf'"),
        (FAST, "yes", "fast is true or false, not 'yes'"),
        (FAST, 1, "fast is true or false, not '1'"),
        (COLOUR, "green", "colour is one of red, blue, not 'green'"),
        (TITLE, 3, "title is a text, not '3'"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_in_one_line(option, given, words):
    with pytest.raises(LurkError, match=words) as error:
        option.read(given)
    assert "\n" not in str(error.value)


def test_an_offer_fills_in_what_is_missing_in_the_order_of_its_options():
    assert SPEC.read({"share": "0.25", "steps": None}) == {"steps": 50, "share": 0.25, "fast": False, "colour": "red"}
    assert list(SPEC.read({"colour": "blue", "steps": 3})) == ["steps", "share", "fast", "colour"]


def test_an_option_that_is_not_offered_is_refused_with_those_that_are():
    with pytest.raises(LurkError, match="toy has no option 'speed'; it has: steps, share, fast, colour"):
        SPEC.read({"speed": 1})


def test_an_offer_comes_back_from_json_as_it_was():
    assert MethodSpec.from_json(json.loads(json.dumps(SPEC.to_json()))) == SPEC


@pytest.mark.parametrize(
    "broken", [{}, {"name": "toy"}, {**SPEC.to_json(), "speed": 1}, {**SPEC.to_json(), "needs": 3}]
)
def test_what_is_no_offer_is_an_error_of_a_known_kind(broken):
    with pytest.raises((TypeError, KeyError)):
        MethodSpec.from_json(broken)
