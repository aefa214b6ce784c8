"""Requests over a real queue and index: run once, answered for ever, refused in one line."""

from dataclasses import replace

import numpy as np
import pytest

from lurk.config.options import Settings
from lurk.errors import LurkError
from lurk.jobs.method_request import MethodRequest
from lurk.jobs.open_queue import open_local_queue
from lurk.service.method_results import result_view
from lurk.service.service import Service
from lurk.storage.histogram import share_below
from lurk.storage.index_writer import show_in_study
from lurk.storage.render_store import open_renders
from lurk.storage.results import publish_offers, read_result, result_folder, to_npy, write_result
from lurk.storage.webp import encode_view
from tests.storage.test_results import OFFER

SETTINGS = Settings(model="toy", data="toy images")
STUDY = SETTINGS.study
PICTURE = replace(OFFER, name="gradient_ascent", gives="picture", needs=("layer", "unit"), options=())
REACHED = {"reached_mean": 1.0, "reached_max": 2.0, "after_jitter_mean": 0.9, "after_jitter_max": 1.8}


@pytest.fixture
def desk(toy_index, tmp_path):
    publish_offers(toy_index.folder, [OFFER, PICTURE])
    show_in_study(tmp_path, STUDY, toy_index.folder)
    queue = open_local_queue(tmp_path)
    return Service({STUDY: SETTINGS}, tmp_path, queue, open_renders(tmp_path)), toy_index, queue


def request(kind, *units, layer="conv", **more) -> MethodRequest:
    return MethodRequest(kind, layer, units, **more)


def ask_map(desk, *, kind="map", layer="conv", unit=0, options=(), **changes):
    more = {"method": "toy", "image": 2, "target": "maximum", "options": tuple(dict(options).items()), **changes}
    return desk[0].ask(STUDY, request(kind, unit, layer=layer, **more))


def finish(desk, asked: MethodRequest) -> None:
    """What a worker leaves of a request."""
    _, index, _ = desk
    for unit in asked.units:
        provenance = asked.provenance(index.manifest.provenance, unit)
        if asked.kind in ("picture", "pictures"):
            files = {"picture-0.webp": encode_view(np.full((8, 8, 3), 99, np.uint8))}
            write_result(index.folder, provenance, {"pictures": [REACHED], "seconds": 1.0, "has_opacity": False}, files)
        else:
            figures = {"scale": 2.0, "value": 1.5, "where": "position", "row": 1, "col": 2, "label": None}
            figures |= {"label_name": "", "similarity": 0.1, "agreement": {"a–b": 0.5}, "warning": "", "seconds": 1.0}
            shares = np.linspace(-1, 1, 3 * 64, dtype=np.float16).reshape(3, 8, 8)
            write_result(index.folder, provenance, figures, {"map.npy": to_npy(shares)})


def asked_of(desk, answer) -> MethodRequest:
    return MethodRequest.from_spec(desk[2].get(answer["key"]).spec)


def test_equal_requests_are_one_job_in_the_lane_of_what_is_looked_at(desk):
    one, two = ask_map(desk), ask_map(desk, options={"n": "3"})
    assert one["key"] == two["key"]
    assert one["state"] == "queued"
    assert [job.lane for job in desk[2].jobs()] == [0]
    assert one["spec"] == {
        "kind": "map",
        "study": STUDY,
        "layer": "conv",
        "unit": 0,
        "units": "0",
        "method": "toy",
        "image": 2,
        "target": "maximum",
    }


def test_a_result_answers_at_once_even_when_its_job_is_forgotten(desk):
    finish(desk, asked_of(desk, ask_map(desk)))
    service, index, _ = desk
    other_queue = open_local_queue(index.folder / "elsewhere")
    fresh = Service({STUDY: SETTINGS}, service.cache, other_queue, open_renders(index.folder))
    again = ask_map((fresh, index, other_queue))
    assert again["state"] == "done"
    assert again["result"]["value"] == 1.5
    assert not other_queue.jobs()


def test_a_job_that_is_done_but_whose_result_is_gone_runs_again(desk):
    _, index, queue = desk
    asked = asked_of(desk, ask_map(desk))
    job = queue.claim("w/1")
    finish(desk, asked)
    queue.finish(job.key, "w/1", {})
    key = asked.provenance(index.manifest.provenance).key
    (result_folder(index.folder, key) / "map.npy").unlink()
    assert read_result(index.folder, key) is None
    assert ask_map(desk)["state"] == "queued"


def test_a_maps_addresses_draw_every_mode(desk):
    finish(desk, asked_of(desk, ask_map(desk)))
    result = ask_map(desk)["result"]
    for mode in result["modes"]:
        address = result["url"].format(mode=mode, boost="0.5", gamma="0.7")
        body, mimetype = desk[0].media(address.removeprefix("/media/"))
        assert (body[:4], mimetype) == (b"RIFF", "image/webp")
    low, high = result["scales"]["signs"]
    assert low == -high < 0
    refused = result["url"].format(mode="signs", boost="0.4", gamma="1")
    assert desk[0].media(refused.removeprefix("/media/")) is None


def test_a_pictures_figures_stand_beside_the_best_real_image(desk):
    service, index, _ = desk
    finish(desk, asked_of(desk, service.ask(STUDY, request("picture", 0))))
    (picture,) = service.ask(STUDY, request("picture", 0))["result"]["pictures"]
    record = index.unit("conv", 0)
    assert picture["best_real_max"] == record.hits_max[0].score
    assert picture["reached_max"] == 2.0
    assert picture["percentile"] == share_below(index, "conv", 0, 2.0)
    assert service.pictures(STUDY, "conv", [0, 1, 99]) == {"0": picture["url"] + "/tile"}


def test_pictures_of_several_units_ask_only_for_those_that_are_missing(desk):
    service, _, queue = desk
    finish(desk, request("picture", 1, version=1))
    answer = service.ask(STUDY, request("pictures", 0, 1, 2))
    assert asked_of(desk, answer).units == (0, 2)
    assert queue.get(answer["key"]).lane == 1
    finish(desk, asked_of(desk, answer))
    assert service.ask(STUDY, request("pictures", 0, 1, 2))["state"] == "done"


def test_maps_of_many_forward_passes_wait_for_what_takes_less(desk):
    _, index, queue = desk
    publish_offers(index.folder, [replace(OFFER, many_passes=True), PICTURE])
    lanes = [queue.get(ask_map(desk, kind=kind, **what)["key"]).lane for kind, what in (
        ("map", {}), ("maps", {"image": None, "images": (1, 2)}), ("sanity", {})
    )]  # fmt: skip
    assert lanes == [1, 1, 0]


def test_a_running_picture_can_be_watched(desk, tmp_path):
    service, index, queue = desk
    answer = service.ask(STUDY, request("picture", 0))
    assert answer["preview"] is None
    queue.claim("w/1")
    queue.beat(answer["key"], "w/1", 40, 256, "", 8.0)
    now = service.job(answer["key"])
    assert (now["eta_s"], now["preview"]) == ((256 - 40) / 8, None)
    key = asked_of(desk, answer).provenance(index.manifest.provenance).key
    seen = []
    for grey in (0, 9):
        picture = encode_view(np.full((4, 4, 3), grey, np.uint8))
        open_renders(tmp_path).put(f"preview/{key}", picture)
        for done in (40, 50):  # the address changes with the preview, not with the step
            queue.beat(answer["key"], "w/1", done, 256, "", 8.0)
            seen.append(service.job(answer["key"])["preview"])
        assert service.preview(key) == picture
    assert seen[0] == seen[1] != seen[2] == seen[3]
    assert {address.partition("?")[0] for address in seen} == {f"/preview/{key}"}


def test_a_tile_shows_a_picture_under_way_until_it_is_there(desk, tmp_path):
    service, index, _ = desk
    asked = request("picture", 1, version=1)
    key = asked.provenance(index.manifest.provenance).key
    open_renders(tmp_path).put(f"preview/{key}", b"one")
    first = service.pictures(STUDY, "conv", [0, 1])
    assert list(first) == ["1"]
    assert first["1"].startswith(f"/preview/{key}?")
    open_renders(tmp_path).put(f"preview/{key}", b"two")
    assert service.pictures(STUDY, "conv", [1]) != first
    finish(desk, asked)
    assert service.pictures(STUDY, "conv", [1])["1"].endswith("/tile")


def test_a_sanity_check_is_a_job_and_a_result_of_its_own(desk):
    answer = ask_map(desk, kind="sanity")
    assert answer["kind"] == "sanity"
    finish(desk, asked_of(desk, answer))
    assert ask_map(desk, kind="sanity")["result"]["similarity"] == 0.1
    assert ask_map(desk)["state"] == "queued"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"unit": 9}, "no unit 9"),
        ({"layer": "other"}, "no layer 'other'"),
        ({"method": "nothing"}, "known are: toy, gradient_ascent"),
        ({"image": 6}, "image must be from 0 to 5"),
        ({"target": "here"}, "maximum, map or class"),
        ({"options": {"n": 0}}, "n is a number from 1"),
        ({"options": {"what": 0}}, "has no option 'what'"),
        ({"kind": "picture"}, "gives no picture"),
        ({"method": "gradient_ascent"}, "gives no map"),
    ],
)
def test_what_does_not_fit_is_refused_and_queues_nothing(desk, changes, words):
    with pytest.raises(LurkError, match=words):
        ask_map(desk, **changes)
    assert not desk[2].jobs()


def test_before_the_model_was_loaded_nothing_can_be_asked_for(toy_index, tmp_path):
    show_in_study(tmp_path, STUDY, toy_index.folder)
    service = Service({STUDY: SETTINGS}, tmp_path, open_local_queue(tmp_path), open_renders(tmp_path))
    with pytest.raises(LurkError, match="still being loaded"):
        service.ask(STUDY, request("picture", 0))


def test_several_pictures_have_no_result_of_their_own(desk):
    assert result_view(desk[1], request("pictures", 0, 1, version=1)) is None
