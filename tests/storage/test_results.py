"""Results on disk: whole or not there."""

import json
import os
import time
from dataclasses import replace

import numpy as np
import pytest

from lurk.errors import CacheError
from lurk.method_spec import MethodSpec, Option
from lurk.records import Provenance
from lurk.storage.results import publish_offers, read_offers, read_result, result_folder, to_npy, write_result

PROVENANCE = Provenance("hash", "toy", "pretrained", "none", "images", "deconvnet", 1, (("layer", "conv"), ("unit", 3)))
OFFER = MethodSpec(
    "toy",
    "Toy",
    "Shows toys.",
    "map",
    ("layer", "unit", "image"),
    "Toy 2020",
    1,
    options=(Option("how", "a", "how", choices=("a", "b")), Option("n", 3, "number", low=1)),
)


def test_a_result_is_read_back_as_it_was_written(tmp_path):
    array = np.arange(12, dtype=np.float16).reshape(3, 2, 2)
    key = write_result(tmp_path, PROVENANCE, {"scale": 2.5}, {"map.npy": to_npy(array), "a.webp": b"abc"})
    assert key == PROVENANCE.key
    found = read_result(tmp_path, key)
    assert found.figures == {"scale": 2.5}
    assert found.read("a.webp") == b"abc"
    assert np.array_equal(found.array("map"), array)
    assert found.provenance["weight_hash"] == "hash"
    assert found.provenance["parameters"] == [["layer", "conv"], ["unit", 3]]


def test_another_provenance_is_another_result(tmp_path):
    write_result(tmp_path, PROVENANCE, {}, {})
    assert read_result(tmp_path, replace(PROVENANCE, method_version=2).key) is None
    assert read_result(tmp_path, replace(PROVENANCE, weight_hash="other").key) is None


def test_a_result_that_is_there_stays_and_leaves_nothing_beside_it(tmp_path):
    key = write_result(tmp_path, PROVENANCE, {"seconds": 1}, {"a": b"first"})
    write_result(tmp_path, PROVENANCE, {"seconds": 2}, {"a": b"second"})
    assert read_result(tmp_path, key).read("a") == b"first"
    assert [entry.name for entry in result_folder(tmp_path, key).parent.iterdir()] == [key]


def test_what_a_killed_process_left_half_written_goes_once_it_is_old(tmp_path):
    place = result_folder(tmp_path, PROVENANCE.key).parent
    for name, age_s in (("old", 2 * 3600), ("new", 60)):
        left = place / f".new-{name}"
        left.mkdir(parents=True)
        (left / "a").write_bytes(b"half")
        os.utime(left, (time.time() - age_s,) * 2)
    write_result(tmp_path, PROVENANCE, {}, {})
    assert sorted(entry.name for entry in place.iterdir()) == [".new-new", PROVENANCE.key]


@pytest.mark.parametrize("damage", ["cut file", "missing file", "cut head", "no head", "other format"])
def test_a_damaged_result_counts_as_missing_and_is_made_anew(tmp_path, damage):
    key = write_result(tmp_path, PROVENANCE, {"n": 1}, {"a": b"whole"})
    folder = result_folder(tmp_path, key)
    head = folder / "result.json"
    {
        "cut file": lambda: (folder / "a").write_bytes(b"who"),
        "missing file": (folder / "a").unlink,
        "cut head": lambda: head.write_text(head.read_text()[:-9]),
        "no head": head.unlink,
        "other format": lambda: head.write_text(json.dumps({**json.loads(head.read_text()), "format": 99})),
    }[damage]()
    assert read_result(tmp_path, key) is None
    write_result(tmp_path, PROVENANCE, {"n": 2}, {"a": b"again"})
    assert read_result(tmp_path, key).read("a") == b"again"


def test_files_are_the_owners_alone(tmp_path):
    key = write_result(tmp_path, PROVENANCE, {}, {"a": b"1"})
    assert {oct(file.stat().st_mode & 0o777) for file in result_folder(tmp_path, key).iterdir()} == {"0o600"}


def test_what_cannot_be_written_is_said_in_one_line(tmp_path):
    (tmp_path / "results").write_text("in the way")
    with pytest.raises(CacheError, match="cannot write to the cache"):
        write_result(tmp_path, PROVENANCE, {}, {})


def test_figures_must_be_json(tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        write_result(tmp_path, PROVENANCE, {"n": float("nan")}, {})


def test_offers_are_published_and_read_back(tmp_path):
    other = replace(OFFER, name="other", refusal="it cannot", many_passes=True, draft=(("n", 9),))
    publish_offers(tmp_path, [OFFER, other])
    assert read_offers(tmp_path) == [OFFER, other]
    assert [entry.name for entry in tmp_path.iterdir()] == ["methods.json"]


def test_offers_that_are_damaged_or_missing_are_none(tmp_path):
    assert read_offers(tmp_path) == []
    (tmp_path / "methods.json").write_text('{"format": 1, "methods": [{"name": "x"}]}')
    assert read_offers(tmp_path) == []
