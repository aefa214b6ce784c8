"""Pictures as a worker draws them: real queue, real tasks; what is stored is what the methods say."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import lurk
from lurk.errors import Cancelled
from lurk.jobs.method_request import MethodRequest
from lurk.methods.run_method import visualize
from lurk.storage.results import read_offers, read_result
from lurk.storage.webp import decode_view
from lurk.worker import picture_tasks
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
        cache, kept = bench.cache, {}
        steps = 0

        def report(self, done, total, note="", rate=None):
            self.steps = done
            if done == 3:
                raise Cancelled

        def step_aside(self, *, is_seen, is_draft):
            pass

    asked = MethodRequest("picture", "3", (4,), options=(("steps", 50),)).completed(offer_of(bench))
    stopping = Stopping()
    with open_study(bench.settings, bench.index) as study, pytest.raises(Cancelled):
        draw_pictures(asked, study, stopping)
    assert stopping.steps == 3
    assert read_result(bench.folder, asked.provenance(bench.index.manifest.provenance).key) is None
    assert not any(part._forward_hooks for part in bench.model.module.modules())
    assert all(weight.requires_grad for weight in bench.model.module.parameters())


class Clock:
    """A clock that a test moves, in place of the module `time`."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now


class Watching:
    """A context that notes what may step aside when."""

    def __init__(self, cache):
        self.cache, self.kept, self.asides = cache, {}, []

    def report(self, done, total, note="", rate=None):
        pass

    def step_aside(self, *, is_seen, is_draft):
        self.asides.append((is_seen, is_draft))


def shown_over_time(bench, monkeypatch, kind, steps, step_s, picture_at):
    """Show a picture of 300 x 400 pixels at each step; returns the context and the time and bytes of each preview."""
    clock, previews = Clock(), []
    monkeypatch.setattr(picture_tasks, "time", clock)
    monkeypatch.setattr(
        picture_tasks,
        "open_renders",
        lambda cache: SimpleNamespace(put=lambda key, data: previews.append((clock.now, data))),
    )
    request = MethodRequest(kind, "3", (1,)).completed(offer_of(bench))
    context = Watching(bench.cache)
    progress = picture_tasks._Progress(context, request, bench.index, [picture_tasks._Batch((1,))], 0)
    for step in range(1, steps + 1):
        clock.now = round(step * step_s, 6)
        progress.show(step, steps, lambda: picture_at(clock.now))
    return context, previews


def noise(spread):
    generator = torch.Generator().manual_seed(0)
    rough = torch.rand(1, 3, 30, 40, generator=generator) - 0.5
    return torch.nn.functional.interpolate(rough, (300, 400)) * spread + 0.5


def test_previews_begin_once_there_is_something_to_see_and_become_rarer(bench, monkeypatch):
    _, previews = shown_over_time(
        bench, monkeypatch, "picture", 256, 0.05, lambda now: noise(0.002 if now < 0.22 else 0.5)
    )
    times = [at for at, _ in previews]
    assert 0.22 <= times[0] <= 0.36
    assert all(later / earlier >= 1.5 for earlier, later in pairwise(times))
    assert len(times) <= 10
    assert times[-1] > 6
    assert sum(len(data) for _, data in previews) < 60_000
    view = decode_view(previews[-1][1], 3)
    assert view.shape == (84, 112, 3)
    assert np.abs(view.mean() - 127.5) < 4


def test_a_picture_may_step_aside_once_it_is_seen_and_those_of_the_grid_once_they_are_drafts(bench, monkeypatch):
    given = (bench, monkeypatch)
    context, _ = shown_over_time(*given, "picture", 80, 0.05, lambda now: noise(0.5 if now >= 0.5 else 0))
    assert 9 <= context.asides.index((True, False)) <= 11
    assert context.asides.index((True, True)) == 63
    context, _ = shown_over_time(*given, "pictures", 80, 0.05, lambda now: noise(0.5))
    assert set(context.asides[:63]) == {(False, False)}
    assert set(context.asides[63:]) == {(True, True)}


def test_pictures_that_step_aside_for_one_another_are_those_that_do_not(bench, monkeypatch):
    monkeypatch.setattr(picture_tasks, "FIRST_PREVIEW_S", 0.0)
    monkeypatch.setattr(picture_tasks, "LEAST_SPREAD", 0.0)
    monkeypatch.setattr(picture_tasks, "DRAFT_STEPS", 4)
    monkeypatch.setattr(picture_tasks, "BATCH", 2)
    options, order = {"steps": 9, "seed": 8}, []
    show = picture_tasks._Progress.show

    def noted(self, done, *given):
        order.append((self.batch.units, done))
        show(self, done, *given)

    monkeypatch.setattr(picture_tasks._Progress, "show", noted)
    bench.submit("pictures", units=(0, 1, 2), options=options)
    bench.submit("picture", units=(3,), options=options)
    bench.submit("picture", units=(4,), options=options)
    bench.work()
    assert len(order) == len(set(order)) == 4 * 9  # no step is done twice
    assert order[0] == ((3,), 1)
    assert order[1] == ((4,), 1)
    drawn = visualize(bench.model, "3", range(5), device="cpu", **options)
    for unit in range(5):
        found = bench.submit("picture", units=(unit,), options=options)["result"]
        stored = read_result(bench.folder, found["pictures"][0]["url"].split("/")[-2])
        view = decode_view(stored.read("picture-0.webp"), 3).transpose(2, 0, 1) / 255
        assert np.abs(view - drawn[unit]).mean() < 0.01


def offer_of(bench):
    return next(offer for offer in read_offers(bench.folder) if offer.name == "gradient_ascent")
