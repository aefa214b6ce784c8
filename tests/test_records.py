import json

import pytest

from lurk.records import JobSpec, LayerInfo, Provenance, canonical, printable


def test_equal_specs_have_one_key_whatever_the_order_of_parameters():
    one = JobSpec("sweep", "s", (("b", 1), ("a", "x")))
    other = JobSpec("sweep", "s", (("a", "x"), ("b", 1)))
    assert one == other
    assert one.key == other.key


@pytest.mark.parametrize(
    "changed",
    [
        JobSpec("sweep", "t", (("a", 1),)),
        JobSpec("verify", "s", (("a", 1),)),
        JobSpec("sweep", "s", (("a", 2),)),
        JobSpec("sweep", "s", (("a", "1"),)),
    ],
)
def test_a_changed_spec_has_another_key(changed):
    assert changed.key != JobSpec("sweep", "s", (("a", 1),)).key


def test_a_spec_survives_json():
    spec = JobSpec("verify", "s", (("layer", "c"), ("unit", 3), ("none", None), ("half", 0.5)))
    assert JobSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


@pytest.mark.parametrize(
    "value",
    [{}, {"kind": "x"}, {"kind": 1, "study": "s", "parameters": {}}, {"kind": "x", "study": "s", "parameters": []}],
)
def test_what_is_no_spec_is_refused(value):
    with pytest.raises(ValueError, match="a job spec has"):
        JobSpec.from_json(value)


def test_every_part_of_provenance_changes_its_key():
    base = {
        "weight_hash": "w",
        "model": "m",
        "weights": "p",
        "preprocessing": "r",
        "image_set": "i",
        "method": "sweep",
        "method_version": 1,
    }
    keys = {Provenance(**base).key}
    for name in base:
        keys.add(Provenance(**{**base, name: 2 if name == "method_version" else "other"}).key)
    keys.add(Provenance(**base, parameters=(("top", 9),)).key)
    keys.add(Provenance(**base, software=(("torch", "2"),)).key)
    keys.add(Provenance(**base, seed=1).key)
    assert len(keys) == len(base) + 4


def test_box_is_offset_plus_jump():
    layer = LayerInfo("c", "Conv2d", 4, (4, 9, 9), (7, 5), (2, 3), "post", offset=(-3, -1), grid=(9, 9))
    assert layer.box(0, 0, (20, 30)) == (-3, -1, 4, 4)
    assert layer.box(2, 4, (20, 30)) == (1, 11, 8, 16)


def test_box_of_a_global_field_is_the_whole_image():
    assert LayerInfo("fc", "Linear", 4, (4,), None, None, "post").box(0, 0, (20, 30)) == (0, 0, 20, 30)


def test_canonical_refuses_nan():
    with pytest.raises(ValueError, match="JSON"):
        canonical(float("nan"))


def test_what_is_no_unicode_is_printed_as_question_marks():
    assert printable("caf\udce9/\U0001f600é") == "caf?/\U0001f600é"
