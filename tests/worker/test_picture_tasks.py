"""Pictures as a worker draws them: real queue, real tasks; what is stored is what the methods say."""

import numpy as np
import pytest
import torch

import lurk
from lurk.errors import Cancelled
from lurk.jobs.method_request import MethodRequest
from lurk.methods.run_method import visualize
from lurk.storage.results import read_offers, read_result
from lurk.storage.webp import decode_view
from lurk.worker.loaded_study import open_study
from lurk.worker.picture_tasks import draw_pictures

FEW = {"steps": 6}


def test_a_stored_picture_is_the_one_that_visualize_draws(bench):
    answer = bench.ask("picture", options=FEW)
    key = answer["result"]["pictures"][0]["url"].split("/")[-2]
    stored = decode_view(read_result(bench.folder, key).read("picture-0.webp"), 3)
    drawn = visualize(bench.model, "3", [1], device="cpu", **FEW)[0]
    assert np.abs(stored.transpose(2, 0, 1) / 255 - drawn).max() <= 0.5 / 255 + 1e-6


def test_a_pictures_figures_are_what_the_network_says_of_it(bench):
    answer = bench.ask("picture", options=FEW)
    picture = torch.from_numpy(visualize(bench.model, "3", [1], device="cpu", **FEW))
    with torch.no_grad():
        value = torch.relu(bench.model.module[:4](picture))[0, 1]
    (told,) = answer["result"]["pictures"]
    assert told["reached_max"] == pytest.approx(float(value.max()), rel=1e-4)
    assert told["reached_mean"] == pytest.approx(float(value.mean()), rel=1e-4)
    assert told["best_real_max"] == bench.index.unit("3", 1).hits_max[0].score


def test_pictures_of_several_units_are_those_of_each_alone(bench):
    options = {**FEW, "seed": 5}
    bench.ask("pictures", units=(0, 2, 3), options=options)
    alone = bench.submit("picture", units=(2,), options=options)
    assert alone["state"] == "done"
    key = alone["result"]["pictures"][0]["url"].split("/")[-2]
    stored = decode_view(read_result(bench.folder, key).read("picture-0.webp"), 3).transpose(2, 0, 1) / 255
    drawn = visualize(bench.model, "3", [2], device="cpu", **options)[0]
    assert np.abs(stored - drawn).mean() < 0.01


def test_a_picture_may_start_from_the_units_best_image(bench):
    from_image = bench.ask("picture", units=(2,), options={"steps": 1, "start": "image", "robustness": False})
    key = from_image["result"]["pictures"][0]["url"].split("/")[-2]
    stored = decode_view(read_result(bench.folder, key).read("picture-0.webp"), 3).transpose(2, 0, 1) / 255
    best = bench.index.unit("3", 2).hits_max[0].image
    photograph = bench.model.preprocess(lurk.load_images(bench.settings.data).read(best)).numpy()
    assert np.corrcoef(stored.ravel(), photograph.ravel())[0, 1] > 0.8


def test_a_stopped_job_ends_within_a_step_and_leaves_no_result(bench):
    class Stopping:
        cache = bench.cache
        steps = 0

        def report(self, done, total, note="", rate=None):
            self.steps = done
            if done == 3:
                raise Cancelled

        def give_way(self):
            pass

    asked = MethodRequest("picture", "3", (4,), options=(("steps", 50),)).completed(offer_of(bench))
    stopping = Stopping()
    with open_study(bench.settings, bench.index) as study, pytest.raises(Cancelled):
        draw_pictures(asked, study, stopping)
    assert stopping.steps == 3
    assert read_result(bench.folder, asked.provenance(bench.index.manifest.provenance).key) is None
    assert not any(part._forward_hooks for part in bench.model.module.modules())
    assert all(weight.requires_grad for weight in bench.model.module.parameters())


def offer_of(bench):
    return next(offer for offer in read_offers(bench.folder) if offer.name == "gradient_ascent")
