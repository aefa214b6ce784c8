"""Requests as a worker runs them: real queue, real tasks, a small network; what is stored is what the methods say."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import lurk
from lurk.config.settings import Settings
from lurk.jobs.method_request import Ask
from lurk.jobs.record_queue import LocalQueue
from lurk.methods.run_method import attribute, visualize
from lurk.records import JobSpec
from lurk.service.method_requests import Requests
from lurk.service.method_results import stored_map
from lurk.storage.index import Index
from lurk.storage.manifest import study_index
from lurk.storage.renders import open_renders
from lurk.storage.results import read_offers, read_result, result_folder
from lurk.storage.webp import decode_view
from lurk.worker.model_cache import warm_model
from lurk.worker.worker import Worker

NETWORK = """
import numpy as np
import torch
from torch import nn


def to_tensor(image):
    return torch.from_numpy(np.asarray(image.convert("RGB").resize((16, 16)), np.float32) / 255).permute(2, 0, 1)


def make():
    torch.manual_seed(SEED)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(125, 3)
    )
    net.preprocess, net.classes = to_tensor, ("cat", "dog", "owl")
    return net
"""
FEW = {"steps": 6}


class Bench:
    """A study that was swept, a queue, and a worker that runs what is asked for."""

    def __init__(self, folder: Path) -> None:
        (folder / "net.py").write_text(NETWORK.replace("SEED", "0"))
        generator = np.random.default_rng(0)
        (folder / "images" / "a").mkdir(parents=True)
        for number in range(6):
            pixels = generator.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "images" / "a" / f"{number}.png")
        self.cache = folder / "cache"
        self.settings = Settings(
            model=f"{folder / 'net.py'}:make", data=str(folder / "images"), cache=str(self.cache), device="cpu"
        )
        self.cache.mkdir(mode=0o700)
        self.queue = LocalQueue(self.cache)
        self.requests = Requests(self.queue, open_renders(self.cache))
        self.queue.submit(self.settings.sweep_spec(), 2)
        self.work()
        self.folder = study_index(self.cache, self.settings.study)
        self.index = Index(self.folder)

    def work(self) -> None:
        from lurk.worker.tasks import run

        worker = Worker(self.cache, run)
        while worker.once():
            pass

    def ask(self, kind, units=(1,), layer="3", **more):
        """Ask, let the worker work, and ask again."""
        sweep = self.settings.sweep_spec()
        key = self.requests.ask(self.index, sweep, kind, layer, list(units), **more)["key"]
        self.work()
        job = self.queue.get(key)
        if job.state == "failed":
            raise AssertionError(job.error, job.traceback)
        return self.requests.ask(self.index, sweep, kind, layer, list(units), **more)

    @property
    def model(self):
        return warm_model(self.settings.model, None)


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench(tmp_path_factory.mktemp("bench"))


def test_the_sweep_publishes_what_each_method_offers(bench):
    offers = {offer.name: offer for offer in read_offers(bench.folder)}
    assert {"gradient_ascent", "deconvnet", "guided_backprop", "grad_cam", "occlusion"} <= set(offers)
    assert offers["deconvnet"].refusal == ""


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


def test_a_stored_map_is_the_one_that_attribute_makes(bench):
    answer = bench.ask("map", method="deconvnet", image=2, target="maximum")
    result = answer["result"]
    image = lurk.load_images(bench.settings.data).read(2)
    expected = attribute(bench.model, image, "3", 1, method="deconvnet", device="cpu")
    found = read_result(bench.folder, result["url"].split("/")[4])
    assert np.abs(stored_map(found) - expected).max() <= 1e-3 * np.abs(expected).max()
    with torch.no_grad():
        value = torch.relu(bench.model.module[:4](bench.model.preprocess(image)[None]))[0, 1]
    assert result["value"] == pytest.approx(float(value.max()), rel=1e-5)
    assert divmod(int(value.argmax()), value.shape[1]) == (result["row"], result["col"])


def test_a_map_of_a_class_explains_the_most_probable_one(bench):
    result = bench.ask("map", method="gradient", image=4, target="class")["result"]
    image = bench.model.preprocess(lurk.load_images(bench.settings.data).read(4))
    with torch.no_grad():
        scores = bench.model.module(image[None])[0]
    assert result["label"] == int(scores.argmax())
    assert result["label_name"] == bench.model.classes[result["label"]]
    assert result["value"] == pytest.approx(float(scores.max()), rel=1e-5)


def test_the_mask_of_netdissect_uses_the_units_own_quantile(bench):
    assert bench.ask("map", method="netdissect_mask", image=1, target="maximum")["state"] == "done"


def test_pictures_of_several_units_are_those_of_each_alone(bench):
    options = {**FEW, "seed": 5}
    sweep = bench.settings.sweep_spec()
    bench.ask("pictures", units=(0, 2, 3), options=options)
    alone = bench.requests.ask(bench.index, sweep, "picture", "3", [2], options=options)
    assert alone["state"] == "done"
    key = alone["result"]["pictures"][0]["url"].split("/")[-2]
    stored = decode_view(read_result(bench.folder, key).read("picture-0.webp"), 3).transpose(2, 0, 1) / 255
    drawn = visualize(bench.model, "3", [2], device="cpu", **options)[0]
    assert np.abs(stored - drawn).mean() < 0.01


def test_a_sanity_check_compares_with_randomised_weights_and_leaves_the_model_as_it_is(bench):
    before = bench.model.weight_hash
    result = bench.ask("sanity", method="guided_backprop", image=0, target="map")["result"]
    assert bench.model.weight_hash == before
    assert len(result["agreement"]) == 3
    assert result["similarity"] is None or -1 <= result["similarity"] <= 1
    real = bench.ask("map", method="guided_backprop", image=0, target="map")["result"]
    shown = [stored_map(read_result(bench.folder, one["url"].split("/")[4])) for one in (real, result["randomised"])]
    assert np.abs(shown[0] - shown[1]).max() > 0


def test_a_damaged_result_is_computed_anew(bench):
    asked = {"method": "gradient", "image": 3, "target": "maximum"}
    bench.ask("map", **asked)
    result = bench.ask("map", **asked)["result"]
    folder = result_folder(bench.folder, result["url"].split("/")[4])
    (folder / "map.npy").write_bytes(b"damaged")
    assert bench.ask("map", **asked)["result"] == result | {"seconds": pytest.approx(result["seconds"], abs=60)}


def test_a_picture_may_start_from_the_units_best_image(bench):
    from_image = bench.ask("picture", units=(2,), options={"steps": 1, "start": "image", "robustness": False})
    key = from_image["result"]["pictures"][0]["url"].split("/")[-2]
    stored = decode_view(read_result(bench.folder, key).read("picture-0.webp"), 3).transpose(2, 0, 1) / 255
    best = bench.index.unit("3", 2).hits_max[0].image
    photograph = bench.model.preprocess(lurk.load_images(bench.settings.data).read(best)).numpy()
    assert np.corrcoef(stored.ravel(), photograph.ravel())[0, 1] > 0.8


def test_a_stopped_job_ends_within_a_step_and_leaves_no_result(bench):
    from lurk.errors import Cancelled
    from lurk.worker.method_tasks import draw_pictures

    class Stopping:
        cache = bench.cache
        steps = 0

        def report(self, done, total, note="", rate=None):
            self.steps = done
            if done == 3:
                raise Cancelled

        def give_way(self):
            pass

    asked = Ask("picture", "3", (4,), "gradient_ascent", 1, tuple(offer_of(bench).read({"steps": 50}).items()))
    stopping = Stopping()
    with pytest.raises(Cancelled):
        draw_pictures(asked.spec(bench.settings.sweep_spec(), bench.index.key), stopping)
    assert stopping.steps == 3
    assert read_result(bench.folder, asked.provenance(bench.index.manifest.provenance).key) is None
    assert not any(part._forward_hooks for part in bench.model.module.modules())
    assert all(weight.requires_grad for weight in bench.model.module.parameters())


def offer_of(bench):
    return next(offer for offer in read_offers(bench.folder) if offer.name == "gradient_ascent")


def test_jobs_run_within_a_sweep_that_gave_way(bench):
    with torch.inference_mode():
        assert bench.ask("map", method="deconvnet", image=5, target="map")["state"] == "done"
        assert bench.ask("picture", units=(3,), options={"steps": 3})["state"] == "done"


def test_changed_weights_are_said_and_nothing_is_drawn_with_them(bench, tmp_path):
    other = Bench(tmp_path)
    network = tmp_path / "net.py"
    network.write_text(NETWORK.replace("SEED", "1"))
    asked = other.requests.ask(other.index, other.settings.sweep_spec(), "picture", "3", [0], options=FEW)
    other.work()
    job = other.queue.get(asked["key"])
    assert (job.state, job.error[0]) == ("failed", "WeightsError")
    assert "sweep again" in job.error[1]


def test_a_changed_image_set_is_said(tmp_path):
    other = Bench(tmp_path)
    Image.new("RGB", (16, 16)).save(tmp_path / "images" / "a" / "0.png")
    from lurk.worker.model_cache import _images

    _images.cache_clear()
    asked = {"method": "gradient", "image": 0, "target": "map"}
    answer = other.requests.ask(other.index, other.settings.sweep_spec(), "map", "3", [0], **asked)
    other.work()
    assert "sweep again" in other.queue.get(answer["key"]).error[1]


def test_a_spec_survives_json(bench):
    spec = Ask("map", "3", (1,), "gradient", 1, (("a", 1.5),), 2, "map").spec(bench.settings.sweep_spec(), "k")
    assert JobSpec.from_json(json.loads(json.dumps(spec.to_json()))).key == spec.key
