"""A study whose preprocessing is wrong is blamed before its sweep; the page and the terminal say so."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lurk
from lurk.config.options import Settings
from lurk.errors import Cancelled, ModelError
from lurk.jobs.open_queue import open_local_queue
from lurk.service.service import Service
from lurk.storage.diagnosis import read_diagnosis
from lurk.storage.index import Index
from lurk.storage.manifest import study_index
from lurk.storage.render_store import open_renders
from lurk.worker import doctor_task
from lurk.worker.model_cache import cached_model, image_set
from lurk.worker.tasks import run
from lurk.worker.worker import Worker

NETWORK = """
import numpy as np
import torch
from torch import nn

COLOURS = {"red": (1, 0, 0), "blue": (0, 0, 1), "yellow": (1, 1, 0), "cyan": (0, 1, 1)}


def to_tensor(image):
    return torch.from_numpy(np.array(image.resize((8, 8)), np.float32) / 255).permute(2, 0, 1)ORDER


def make():
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    known = torch.tensor(list(COLOURS.values())).float()
    net[0].weight.data, net[0].bias.data = 2 * known.view(4, 3, 1, 1), -known.square().sum(1)
    net.preprocess, net.classes = to_tensor, tuple(COLOURS)
    return net
"""
COLOURS = {"red": (230, 30, 30), "blue": (30, 30, 230), "yellow": (230, 230, 30), "cyan": (30, 230, 230)}


def study(folder: Path, order: str) -> Settings:
    (folder / "net.py").write_text(NETWORK.replace("ORDER", order))
    chance = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (folder / "images" / name).mkdir(parents=True)
        for number in range(8):
            samples = np.clip(np.array(colour) + chance.normal(0, 25, (12, 12, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(samples).save(folder / "images" / name / f"{number}.png")
    cache = folder / "cache"
    cache.mkdir(mode=0o700)
    return Settings(
        model=f"{folder / 'net.py'}:make", data=str(folder / "images"), cache=str(cache), device="cpu", top=2
    )


def swept(settings: Settings) -> tuple[Service, Index]:
    cache = Path(settings.cache)
    queue = open_local_queue(cache)
    service = Service({settings.study: settings}, cache, queue, open_renders(cache))
    service.start()
    worker = Worker(cache, run)
    while worker.run_next():
        pass
    return service, Index(study_index(cache, settings.study))


def test_a_mistake_is_on_the_page(tmp_path):
    settings = study(tmp_path, ".flip(0)")
    service, index = swept(settings)
    assert index.manifest.complete
    (warning,) = read_diagnosis(index.folder, index.manifest.provenance)
    assert "right for 32 of 32 labelled images" in warning
    assert warning in service.status(settings.study)["notice"]
    assert warning in service.study(settings.study).notice
    checked = "the preprocessing was checked on 32 images, right for 0 of 32 labelled ones: it does not look right"
    assert service.study(settings.study).notes[-1] == checked
    assert warning in lurk.Index(index.folder).unit("0", 0)._repr_html_().replace("&#x27;", "'")
    assert checked in lurk.Index(index.folder)._repr_html_()


def test_a_right_set_up_has_no_banner_and_is_not_examined_again(tmp_path, monkeypatch):
    settings = study(tmp_path, "")
    service, index = swept(settings)
    assert read_diagnosis(index.folder, index.manifest.provenance) == ()
    assert service.status(settings.study)["notice"] == ""
    checked = "the preprocessing was checked on 32 images, right for 32 of 32 labelled ones: nothing looks wrong"
    assert service.study(settings.study).notes[-1] == checked

    def again(*_given: object, **_options: object) -> None:
        raise AssertionError("examined again")

    monkeypatch.setattr(doctor_task, "examine_model", again)
    model, images = cached_model(settings), image_set(settings)
    assert doctor_task.examine_study(model, images, settings, index.folder, lambda *_: None) == ()


def test_a_failure_stops_no_sweep_and_a_cancelled_job_stops(tmp_path, monkeypatch):
    settings = study(tmp_path, "")

    def failing(*_given: object, **_options: object) -> None:
        raise ModelError("cannot be planned")

    monkeypatch.setattr(doctor_task, "examine_model", failing)
    service, index = swept(settings)
    assert index.manifest.complete
    assert service.study(settings.study).notes[-1] == "the preprocessing could not be checked: cannot be planned"
    assert read_diagnosis(index.folder, index.manifest.provenance) is None

    def cancelled(*_given: object, **_options: object) -> None:
        raise Cancelled

    monkeypatch.setattr(doctor_task, "examine_model", cancelled)
    with pytest.raises(Cancelled):
        doctor_task.examine_study(cached_model(settings), image_set(settings), settings, index.folder, lambda *_: None)
