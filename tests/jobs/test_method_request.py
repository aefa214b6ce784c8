"""Requests: equal ones are one job and one result, and nothing that matters is left out of either."""

from dataclasses import replace

import pytest

from lurk.errors import LurkError
from lurk.jobs.method_request import MOST_UNITS, MethodRequest
from lurk.records import JobSpec, Provenance
from tests.storage.test_results import OFFER

SWEPT = Provenance("hash", "toy", "pretrained", "none", "images", "sweep", 1)
SWEEP = JobSpec("sweep", "study", (("model", "toy"), ("data", "demo")))
PICTURE = replace(OFFER, name="draw", gives="picture", needs=("layer", "unit"), options=())


def of_map(*, layer="conv", unit=3, options=(), image=5, target="maximum") -> MethodRequest:
    options = tuple(dict(options).items())
    return MethodRequest("map", layer, (unit,), "toy", 0, options, image, target).completed(OFFER)


def of_pictures(kind, units) -> MethodRequest:
    return MethodRequest(kind, "conv", units, "draw").completed(PICTURE)


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
    for request in (of_map(), replace(of_map(), kind="sanity"), of_pictures("pictures", (1, 2))):
        assert MethodRequest.from_spec(JobSpec.from_json(request.spec(SWEEP, "index").to_json())) == request


def test_a_picture_asked_for_alone_is_the_one_asked_for_with_others():
    alone, together = of_pictures("picture", (2,)), of_pictures("pictures", (1, 2, 3))
    assert of_pictures("pictures", (2,)).provenance(SWEPT) == alone.provenance(SWEPT)
    assert alone.provenance(SWEPT).key == together.provenance(SWEPT, 2).key
    assert alone.provenance(SWEPT).key != together.provenance(SWEPT, 1).key


def test_the_seed_is_named_in_the_provenance():
    seeded = MethodRequest("picture", "conv", (0,), "draw", 1, (("seed", 7),))
    assert seeded.provenance(SWEPT).seed == 7
    assert of_map().provenance(SWEPT).seed is None


def test_a_picture_needs_neither_image_nor_target():
    given = MethodRequest("picture", "conv", (2,), "draw", image=4, target="map")
    assert given.completed(PICTURE) == of_pictures("picture", (2,))


@pytest.mark.parametrize(
    ("offer", "kind", "units", "more", "words"),
    [
        (replace(OFFER, refusal="no gradient"), "map", (1,), {"image": 1, "target": "map"}, "no gradient"),
        (OFFER, "map", (1,), {"target": "map"}, "needs an image"),
        (OFFER, "map", (1,), {"image": 1, "target": "centre"}, "maximum, map or class"),
        (
            replace(OFFER, no_class="the model gives no class scores"),
            "map",
            (1,),
            {"image": 1, "target": "class"},
            "^no class can be explained: the model gives no class scores$",
        ),
        (OFFER, "map", (1, 2), {"image": 1, "target": "map"}, "units"),
        (OFFER, "picture", (1,), {}, "gives no picture"),
        (PICTURE, "sanity", (1,), {"image": 1, "target": "map"}, "gives no sanity"),
        (replace(OFFER, needs=("class",), gives="picture"), "picture", (1,), {}, "shows no unit"),
        (PICTURE, "picture", (1, 2), {}, "units"),
        (PICTURE, "pictures", (), {}, "units"),
        (PICTURE, "pictures", tuple(range(MOST_UNITS + 1)), {}, "units"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(offer, kind, units, more, words):
    with pytest.raises(LurkError, match=words):
        MethodRequest(kind, "conv", units, offer.name, **more).completed(offer)


def test_jobs_and_results_keep_the_keys_that_they_had_in_version_0_2():
    """A cache made before stays valid: what is written into a job and into a result's provenance does not change."""
    spec = of_map(options={"n": 4}).spec(SWEEP, "index")
    assert spec.to_json() == {
        "kind": "map",
        "study": "study",
        "parameters": {
            "data": "demo",
            "image": 5,
            "index": "index",
            "layer": "conv",
            "method": "toy",
            "model": "toy",
            "options": '{"how":"a","n":4}',
            "target": "maximum",
            "unit": 3,
            "units": "3",
            "version": 1,
        },
    }
    assert spec.key == "c1d2910603c61b3e1c8b197db05a25c0"
    assert of_map(options={"n": 4}).provenance(SWEPT).key == "dd9d593070d46a582a14aba8c7f02942"
    assert replace(of_map(), kind="sanity").provenance(SWEPT).key == "ba9d5d0c31e719e35fd49c33440071fc"
    assert of_pictures("pictures", (1, 2)).provenance(SWEPT, 2).key == "8f75efe0077e64dd9f6257a2f4592f85"
    assert of_pictures("pictures", (1, 2)).spec(SWEEP, "index").key == "c8ce0c87312d60b25e175b6b557b86de"
