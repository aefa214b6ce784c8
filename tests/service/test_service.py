import shutil
from dataclasses import replace

import numpy as np
import pytest

from lurk.config.options import Settings
from lurk.config.staleness import made_with
from lurk.errors import LayerError, LurkError
from lurk.jobs.open_queue import open_local_queue
from lurk.service.grid_view import grid
from lurk.service.service import Service
from lurk.storage.index import Index
from lurk.storage.index_writer import show_in_study, write_index
from lurk.storage.render_store import Renders, open_renders
from lurk.storage.webp import encode_view
from tests.conftest import make_manifest, make_statistics

SETTINGS = Settings(model="toy", data="toy images")


@pytest.fixture
def queue(tmp_path):
    return open_local_queue(tmp_path)


@pytest.fixture
def service(tmp_path, queue):
    return Service({SETTINGS.study: SETTINGS}, tmp_path, queue, open_renders(tmp_path))


@pytest.fixture
def shown(service, toy_index, tmp_path):
    """The service once its study has a finished index."""
    show_in_study(tmp_path, SETTINGS.study, toy_index.folder)
    return service


def test_before_anything_a_study_waits(service):
    status = service.status(SETTINGS.study)
    assert (status["state"], status["ready"], status["serial"]) == ("waiting", False, 0)
    assert service.layers(SETTINGS.study) == []
    assert service.ready()[0] is False
    with pytest.raises(LurkError, match="no index yet"):
        service.grid(SETTINGS.study, "conv")


def test_states_of_a_sweep_follow_its_job(service, queue):
    study, key = SETTINGS.study, SETTINGS.sweep_spec().key
    service.start()
    assert service.status(study)["state"] == "waiting"
    queue.claim("me")
    assert service.status(study)["state"] == "starting"
    queue.beat(key, "me", 30, 60, rate=10.0)
    running = service.status(study)
    assert (running["state"], running["done"], running["total"], running["eta_s"]) == ("running", 30, 60, 3.0)
    service.cancel(study)
    assert queue.beat(key, "me", 31, 60) is False
    queue.stopped(key, "me")
    assert service.status(study)["state"] == "cancelled"
    service.resume(study)
    assert service.status(study)["state"] == "waiting"
    queue.claim("me")
    queue.fail(key, "me", ("ModelError", "no such model"))
    failed = service.status(study)
    assert (failed["state"], failed["message"]) == ("failed", "no such model")


def test_a_finished_index_is_shown_whatever_becomes_of_the_job(shown, queue):
    assert shown.status(SETTINGS.study)["state"] == "done"
    shown.start()
    assert shown.status(SETTINGS.study)["state"] == "waiting"
    assert shown.status(SETTINGS.study)["done"] == 6
    queue.claim("me")
    queue.finish(SETTINGS.sweep_spec().key, "me", {})
    assert shown.status(SETTINGS.study)["state"] == "done"
    assert [layer.name for layer in shown.layers(SETTINGS.study)] == ["conv", "fc"]
    assert shown.unit(SETTINGS.study, "conv", 0).record.hits_max


def test_a_job_asked_for_twice_is_one(shown):
    first = shown.verify(SETTINGS.study, "conv", 1)
    assert shown.verify(SETTINGS.study, "conv", 1) == first
    assert [job["spec"]["unit"] for job in shown.jobs() if job["spec"]["kind"] == "verify"] == [1]
    assert shown.job(first)["state"] == "queued"
    assert shown.cancel_job(first)["state"] == "cancelled"
    assert shown.job("0" * 32) is None


def test_a_job_shows_neither_paths_of_the_machine_nor_tracebacks(shown, queue, tmp_path):
    key = shown.verify(SETTINGS.study, "conv", 1)
    queue.claim("me")
    queue.fail(key, "me", ("ValueError", "odd"), "Traceback: secret")
    text = str(shown.job(key))
    assert "odd" in text
    assert "Traceback" not in text
    assert str(tmp_path) not in text


def test_what_is_unknown_is_named(shown):
    with pytest.raises(LurkError, match="no study"):
        shown.status("nope")
    with pytest.raises(LayerError, match="no layer"):
        shown.grid(SETTINGS.study, "nope")
    with pytest.raises(LurkError, match="cannot sort"):
        shown.grid(SETTINGS.study, "conv", sort="colour")


@pytest.mark.parametrize("key", ["", "x", "../studies", "..%2f/view/1", "0" * 32 + "/view/1"])
def test_media_of_an_unknown_key_is_none(shown, key):
    assert shown.media(key) is None


def test_media_of_a_hit(shown):
    hit = shown.unit(SETTINGS.study, "conv", 0).hits("max")[0]
    body, mimetype = shown.media(hit["view_url"].removeprefix("/media/"))
    assert mimetype == "image/webp"
    assert body[:4] == b"RIFF"


def test_metrics_count_jobs_and_images(shown):
    shown.start()
    metrics = shown.metrics()
    assert "lurk_workers 0" in metrics
    assert 'lurk_jobs{state="queued"} 1' in metrics
    assert f'lurk_sweep_images{{study="{SETTINGS.study}"}} 6' in metrics


def test_studies_come_and_go_while_it_runs(tmp_path, queue):
    studies = {"a": SETTINGS}
    service = Service(lambda: studies, tmp_path, queue, open_renders(tmp_path))
    assert service.names() == ["a"]
    studies = {"b": SETTINGS}
    assert [view.name for view in service.studies()] == service.names() == ["b"]
    assert service.study("a") is None
    with pytest.raises(LurkError, match="no study is called 'a'; known are: b"):
        service.status("a")


def test_a_study_tells_size_time_and_provenance(shown, toy_index):
    view = shown.study(SETTINGS.study)
    assert (view.count, view.layers, view.units, view.strip_units) == (6, 2, 5, 3)
    assert (view.weights, view.weight_hash, view.preprocessing, view.label) == ("pretrained", "hash", "none", "")
    assert view.swept == (toy_index.folder / "manifest.json").stat().st_mtime
    assert shown.media(view.strip.removeprefix("/media/"))[1] == "image/jpeg"


def test_before_the_first_sweep_a_study_has_neither_size_nor_time(service):
    view = service.study(SETTINGS.study)
    assert (view.count, view.layers, view.swept, view.strip, view.stale) == (0, 0, None, "", "")


def test_a_study_is_stale_once_its_options_are_others_than_its_indexs(toy_index, tmp_path, queue):
    studies = {"a": replace(SETTINGS, name="a")}
    service = Service(lambda: studies, tmp_path, queue, open_renders(tmp_path))
    show_in_study(tmp_path, "a", toy_index.folder, made_with(studies["a"]))
    assert (service.status("a")["stale"], service.study("a").stale) == ("", "")
    studies = {"a": replace(SETTINGS, name="a", weights="random", top=3)}
    assert service.status("a")["stale"] == service.study("a").stale == "other weights, other number of top images"
    show_in_study(tmp_path, "a", toy_index.folder, made_with(studies["a"]))
    assert service.status("a")["stale"] == ""
    assert service.study("a").label == "a"


def test_more_studies_than_indexes_are_kept_open_without_opening_them_again(tmp_path, queue, toy_index, monkeypatch):
    import lurk.service.service as module

    names = [f"s{number}" for number in range(20)]
    for name in names:
        folder = tmp_path / "index" / f"{name}x"
        shutil.copytree(toy_index.folder, folder)
        show_in_study(tmp_path, name, folder)
    service = Service({name: replace(SETTINGS, name=name) for name in names}, tmp_path, queue, open_renders(tmp_path))
    opened = []
    monkeypatch.setattr(module, "Index", lambda folder: opened.append(folder) or Index(folder))
    service.studies()
    service.studies()
    assert len(opened) == len(names)


def test_an_address_from_before_the_last_checkpoint_holds_in_a_process_that_never_saw_it(tmp_path):
    """Web workers are stateless: one gives an address out, another is asked for the image."""
    states = make_statistics()[0].state()
    given = []
    with write_index(tmp_path, make_manifest(), [(f"cat/{image}.png", 0) for image in range(6)]) as writer:
        for image in range(6):
            writer.put_view(image, encode_view(np.full((8, 8, 3), 10 * image, np.uint8)))
        for checkpoint in range(3):
            states["top_max_image"] = (states["top_max_image"] + checkpoint) % 6
            write = writer.finish if checkpoint == 2 else writer.checkpoint
            write(states, done=6, skipped=())
            given.append(grid(Index(writer.folder), "conv")["sprites"][0].removeprefix("/media/"))
            fresh = Service({}, tmp_path, open_local_queue(tmp_path), Renders(tmp_path / f"renders-{checkpoint}"))
            assert [fresh.media(key) is not None for key in given[-2:]] == [True] * min(2, checkpoint + 1)
    assert len(set(given)) == 3
