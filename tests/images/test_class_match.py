import pytest

from lurk.images.class_match import match_classes
from lurk.images.wordnet_ids import WORDNET_IDS
from lurk.models.imagenet_classes import CLASSES
from tests.reference import PHOTOS

ANIMALS = ("cat", "dog", "tench, Tinca tinca", "great white shark, white shark")


def match(classes, names, outputs=None, used=None):
    used = range(len(classes)) if used is None else used
    return match_classes(classes, used, names, len(names) if outputs is None else outputs)


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (("cat", "dog"), (0, 1)),
        (("dog", "cat"), (1, 0)),
        (("Dog", "CAT"), (1, 0)),
        (("tench", "great_white_shark"), (2, 3)),
        (("Tinca tinca", "white-shark"), (2, 3)),
        (("02_cat", "001.Dog"), (0, 1)),
        (("n02084071-dog", "n01440764_tench"), (1, 2)),
        (("cat", "horse"), (0, None)),
        (("cat", "Cat"), (None, None)),
    ],
)
def test_names_are_matched_whatever_their_spelling(classes, expected):
    found = match(classes, ANIMALS)
    assert found.outputs == expected
    assert found.how == ("name" if any(output is not None for output in expected) else "")


def test_what_was_not_matched_is_said():
    assert match(("cat", "horse", "cow"), ANIMALS).note == (
        "1 of 3 classes matched with the network's outputs by name; not matched: horse, cow"
    )
    assert match(("horse",), ANIMALS).note == "no class could be matched with an output of the network: horse"


def test_a_name_of_two_outputs_is_not_guessed():
    assert match(("crane", "kite"), ("crane", "crane", "kite")).outputs == (None, 2)
    assert match(("crane",), ("crane, bird", "crane, machine")).outputs == (None,)
    assert match(("crane",), ("crane", "hoist, crane")).outputs == (0,)


def test_names_of_signs_alone_are_matched_as_they_are():
    assert match(("C++", "C#", "+"), ("+", "C#", "C++")).outputs == (2, 1, 0)
    assert match(("c", "C++"), ("C#", "C++")).outputs == (None, 1)


def test_the_order_of_image_folder_is_named_where_it_differs():
    numbers = tuple(str(number) for number in range(1, 13))
    assert "ImageFolder counts 10 before 2" in match(numbers, None, 12).note
    assert "ImageFolder" not in match(numbers[:9], None, 9).note
    trained = sorted(numbers)  # the names that such a network is given: class_to_idx
    assert match(numbers, trained).outputs == (0, 4, 5, 6, 7, 8, 9, 10, 11, 1, 2, 3)


def test_numbers_count_from_0_or_from_1():
    zero = match(("0", "1", "2"), ("a", "b", "c"))
    assert (zero.outputs, zero.how) == ((0, 1, 2), "number")
    assert zero.note == "3 of 3 classes matched with the network's outputs by number: class 0 is output 0, a"
    one = match(("1", "2", "3"), ("a", "b", "c"))
    assert (one.outputs, one.how) == ((0, 1, 2), "number from 1")
    assert "class 1 is output 0, a" in one.note


def test_unused_numbers_do_not_count():
    found = match(("0", "1", "2", "3"), ("a", "b", "c"), used=(1, 3, None))
    assert (found.outputs, found.how) == ((None, 0, None, 2), "number from 1")
    assert match(("0", "1", "2"), None, 1000, used=(1, 2)).outputs == (None, 1, 2)


def test_padded_and_numeric_names():
    assert match(("001", "010"), None, 11).outputs == (1, 10)
    assert match(("1", "2", "10"), ("1", "2", "10")).outputs == (0, 1, 2)
    assert match(tuple(str(n) for n in range(1, 11)), tuple(str(n) for n in range(10))).how == "number from 1"


def test_numbers_that_do_not_fit_match_nothing():
    assert match(("0", "7"), ("a", "b")).outputs == (None, None)


def test_wordnet_ids_are_imagenets_outputs():
    for names in (None, CLASSES):
        found = match(("n15075141", "n01443537", "n02119789_kit_fox"), names, 1000)
        assert (found.outputs, found.how) == ((999, 1, 278), "WordNet id")
    assert CLASSES[278] == "kit fox"
    assert match(("n01443537",), None, 100).outputs == (None,)


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="the photographs are not there")
def test_the_ids_are_those_of_the_photographs():
    files = sorted(file.name for file in PHOTOS.glob("*/*.JPEG"))
    known = {identity: name for identity, name in zip(WORDNET_IDS, CLASSES, strict=True)}
    same = [known[file[:9]].split()[0].lower() in file.lower().replace("_", " ") for file in files]
    assert len(files) == 400
    assert sum(same) >= 396
    assert list(WORDNET_IDS) == sorted(set(WORDNET_IDS))
    assert len(WORDNET_IDS) == 1000


def test_without_names_the_order_of_folders_is_an_assumption():
    found = match(("class2", "class10"), None, 2)
    assert (found.outputs, found.how) == ((1, 0), "order")
    assert "assumption" in found.note
    assert match(("a", "b"), None, 3).outputs == (None, None)


def test_no_classes_match_nothing():
    assert match((), ("a",)).note == "the image set has no classes to match with the network's outputs"
