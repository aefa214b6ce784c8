import os

import pytest

from lurk.config.options import Settings
from lurk.config.staleness import differences, made_with


@pytest.fixture
def files(tmp_path):
    for name in ("net.py", "weights.pth", "other.pth", "names.json"):
        (tmp_path / name).write_text("")
    (tmp_path / "images" / "cat").mkdir(parents=True)
    (tmp_path / "images" / "cat" / "1.png").write_text("")
    return tmp_path


def settings(files, **more):
    given = {"model": f"{files}/net.py:make", "weights": f"{files}/weights.pth", "data": f"{files}/images"}
    return Settings(**{**given, "classes": f"{files}/names.json", **more})


def test_nothing_differs_where_nothing_has_changed(files):
    assert differences(made_with(settings(files)), settings(files)) == ()


def test_how_it_is_computed_and_called_makes_no_difference(files):
    again = settings(files, device="cpu", batch_size=2, workers=1, name="x", port=1)
    assert differences(made_with(settings(files)), again) == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"weights": "other.pth"}, "other weights"),
        ({"model": "resnet18"}, "other model"),
        ({"data": "demo"}, "other images"),
        ({"classes": None}, "other class names"),
        ({"sample": 3}, "other sample of the images"),
        ({"layers": "a"}, "other layers"),
        ({"top": 3}, "other number of top images"),
    ],
)
def test_each_changed_option_is_named(files, change, said):
    assert differences(made_with(settings(files)), settings(files, **change)) == (said,)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("weights.pth", "the weights have changed since"),
        ("net.py", "the model has changed since"),
        ("names.json", "the class names have changed since"),
    ],
)
def test_a_changed_file_is_named(files, name, said):
    then = made_with(settings(files))
    os.utime(files / name, (1, 1))
    assert differences(then, settings(files)) == (said,)


def test_another_part_of_a_file_is_other_weights_and_a_change_of_the_file_is_seen(files):
    ema = settings(files, weights=f"{files}/weights.pth:ema")
    then = made_with(ema)
    assert differences(then, settings(files)) == ("other weights",)
    os.utime(files / "weights.pth", (1, 1))
    assert differences(then, ema) == ("the weights have changed since",)


def test_a_new_image_and_a_missing_folder_are_named(files):
    for folder in (files / "images" / "cat", files / "images"):
        os.utime(folder, (2, 2))  # not of the clock's present tick, so that what follows is later
    then = made_with(settings(files))
    os.utime(files / "images" / "cat", (1, 1))
    assert differences(then, settings(files)) == ()
    (files / "images" / "cat" / "2.png").write_text("")
    assert differences(then, settings(files)) == ("the images have changed since",)
    (files / "images").rename(files / "away")
    assert differences(then, settings(files)) == ("the images have changed since",)


def test_an_index_that_does_not_say_is_not_called_stale(files):
    assert differences({}, settings(files)) == ()


def test_it_survives_json(files):
    import json

    assert differences(json.loads(json.dumps(made_with(settings(files)))), settings(files)) == ()
