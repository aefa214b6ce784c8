"""Requests: equal ones are one job and one result, and nothing that matters is left out of either."""

from dataclasses import replace

import pytest

from lurk.errors import LurkError
from lurk.jobs.method_request import MOST_UNITS, Ask, ask
from lurk.records import JobSpec, Provenance
from tests.storage.test_results import OFFER

SWEPT = Provenance("hash", "toy", "pretrained", "none", "images", "sweep", 1)
SWEEP = JobSpec("sweep", "study", (("model", "toy"), ("data", "demo")))
PICTURE = replace(OFFER, name="draw", gives="picture", needs=("layer", "unit"), options=())


def of_map(**changes) -> Ask:
    given = {"image": 5, "target": "maximum", **changes}
    return ask(OFFER, given.pop("layer", "conv"), (given.pop("unit", 3),), given.pop("options", {}), **given)


def test_missing_options_take_their_default_so_equal_requests_are_equal():
    assert of_map() == of_map(options={"n": "3", "how": "a"})
    assert of_map().spec(SWEEP, "index").key == of_map(options={"how": "a"}).spec(SWEEP, "index").key


@pytest.mark.parametrize(
    "changes",
    [{"layer": "fc"}, {"unit": 4}, {"image": 6}, {"target": "map"}, {"options": {"n": 4}}, {"options": {"how": "b"}}],
)
def test_whatever_differs_makes_another_job_and_another_result(changes):
    one, other = of_map(), of_map(**changes)
    assert one.spec(SWEEP, "index").key != other.spec(SWEEP, "index").key
    assert one.provenance(SWEPT).key != other.provenance(SWEPT).key


def test_a_sanity_check_and_another_version_are_other_results():
    keys = {
        of_map().provenance(SWEPT).key,
        replace(of_map(), kind="sanity").provenance(SWEPT).key,
        replace(of_map(), version=2).provenance(SWEPT).key,
        of_map().provenance(replace(SWEPT, weight_hash="other")).key,
    }
    assert len(keys) == 4


def test_a_request_is_read_back_from_its_spec():
    for asked in (of_map(), replace(of_map(), kind="sanity"), ask(PICTURE, "c", (1, 2), {}, image=None, target="")):
        assert Ask.from_spec(JobSpec.from_json(asked.spec(SWEEP, "index").to_json())) == asked


def test_a_picture_asked_for_alone_is_the_one_asked_for_with_others():
    alone = ask(PICTURE, "conv", (2,), {}, image=None, target="")
    together = ask(PICTURE, "conv", (1, 2, 3), {}, image=None, target="")
    assert (alone.kind, together.kind) == ("picture", "pictures")
    assert alone.provenance(SWEPT).key == together.provenance(SWEPT, 2).key
    assert alone.provenance(SWEPT).key != together.provenance(SWEPT, 1).key


def test_the_seed_is_named_in_the_provenance():
    seeded = Ask("picture", "conv", (0,), "draw", 1, (("seed", 7),))
    assert seeded.provenance(SWEPT).seed == 7
    assert of_map().provenance(SWEPT).seed is None


@pytest.mark.parametrize(
    ("offer", "units", "more", "words"),
    [
        (replace(OFFER, refusal="no gradient"), (1,), {"image": 1, "target": "map"}, "no gradient"),
        (OFFER, (1,), {"image": None, "target": "map"}, "needs an image"),
        (OFFER, (1,), {"image": 1, "target": "centre"}, "maximum, map or class"),
        (replace(OFFER, needs=("class",), gives="picture"), (1,), {"image": None, "target": ""}, "shows no unit"),
        (PICTURE, (), {"image": None, "target": ""}, "units"),
        (PICTURE, tuple(range(MOST_UNITS + 1)), {"image": None, "target": ""}, "units"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(offer, units, more, words):
    with pytest.raises(LurkError, match=words):
        ask(offer, "conv", units, {}, **more)
