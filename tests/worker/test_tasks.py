"""Jobs as a worker runs them, whatever their kind."""

import json

import torch

from lurk.jobs.method_request import MethodRequest
from lurk.records import JobSpec
from lurk.storage.results import read_offers


def test_the_sweep_publishes_what_each_method_offers(bench):
    offers = {offer.name: offer for offer in read_offers(bench.folder)}
    assert {"gradient_ascent", "deconvnet", "guided_backprop", "grad_cam", "occlusion"} <= set(offers)
    assert offers["deconvnet"].refusal == ""


def test_jobs_run_within_a_sweep_that_gave_way(bench):
    with torch.inference_mode():
        assert bench.ask("map", method="deconvnet", image=5, target="map")["state"] == "done"
        assert bench.ask("picture", units=(3,), options={"steps": 3})["state"] == "done"


def test_a_spec_survives_json(bench):
    spec = MethodRequest("map", "3", (1,), "gradient", 1, (("a", 1.5),), 2, "map").spec(
        bench.settings.sweep_spec(), "k"
    )
    assert JobSpec.from_json(json.loads(json.dumps(spec.to_json()))).key == spec.key
