"""Orders of twelve classes, with answers made by hand."""

import numpy as np
import pytest

from lurk.models.doctor.class_order import find_order

NUMBERS = np.arange(12).repeat(3)  # three images of each class, whose true number it is
AS_TEXT = np.array([0, 1, 10, 11, 2, 3, 4, 5, 6, 7, 8, 9])
NAMES = ("pear", "fig", "date", "kiwi", "lime", "plum", "sloe", "yuzu", "nut", "bean", "corn", "oat")


def mostly(answers: np.ndarray) -> np.ndarray:
    """The answers, of which the first three are wrong."""
    return np.concatenate([(answers[:3] + 5) % 12, answers[3:]])


@pytest.mark.parametrize(
    ("answers", "words", "right"),
    [
        (np.argsort(AS_TEXT)[NUMBERS], "sorted as text, 10 before 2", 33),
        (AS_TEXT[NUMBERS], "sorted as numbers where names were sorted as text", 33),
        (np.minimum(NUMBERS + 1, 11), "begin one later", 33),
        (np.maximum(NUMBERS - 1, 0), "begin one earlier", 33),
        (np.argsort(np.argsort(NAMES))[NUMBERS], "names in the order of the alphabet", 33),
        (NUMBERS[::-1], "'fig' is answered as 'corn'", None),
    ],
)
def test_an_order_that_explains_the_answers_is_named(answers, words, right):
    found = find_order(mostly(answers), NUMBERS, 12, NAMES)
    assert words in found.name
    assert found.p < 1e-4
    assert right is None or found.right == right


def test_right_answers_are_left_alone():
    assert find_order(mostly(NUMBERS), NUMBERS, 12, NAMES) is None


def test_answers_without_any_order_are_no_order():
    for seed in range(20):
        answers = np.random.default_rng(seed).integers(0, 12, len(NUMBERS))
        assert find_order(answers, NUMBERS, 12, NAMES) is None


def test_a_network_that_always_gives_one_answer_has_no_order():
    assert find_order(np.full(len(NUMBERS), 7), NUMBERS, 12, None) is None
