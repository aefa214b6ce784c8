from collections import Counter
from dataclasses import replace

from lurk.models.doctor.labelled_sample import spread
from tests.models.doctor.test_examine import images


def test_every_class_has_its_turn_before_any_has_another():
    given = replace(images(), labels=(0,) * 80 + (1,) * 10 + (2,) * 6)
    found = spread(given, [True] * 96, 12)
    assert Counter(given.labels[number] for number in found) == {0: 4, 1: 4, 2: 4}
    assert {given.labels[number] for number in found[:3]} == {0, 1, 2}
    assert found == spread(given, [True] * 96, 12)
    assert len(spread(given, [True] * 96, 30)) == 30
    assert Counter(given.labels[number] for number in spread(given, [True] * 96, 30))[2] == 6


def test_only_what_may_be_chosen_is_chosen():
    assert spread(images(), [number == 5 for number in range(96)]) == [5]
