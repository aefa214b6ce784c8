import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import lurk
from lurk.config.options import Settings
from lurk.jobs.open_queue import open_local_queue
from lurk.records import JobSpec, UnitRef
from lurk.sweeps.verify import verify
from lurk.worker.worker import Worker

FACTORY = """
import numpy as np
import torch
from torch import nn


def to_tensor(image):
    return torch.from_numpy(np.asarray(image.convert("RGB").resize((8, 8)), np.float32) / 255).permute(2, 0, 1)


def make():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    net.preprocess = to_tensor
    return net
"""


@pytest.fixture
def folder(tmp_path):
    generator = np.random.default_rng(0)
    (tmp_path / "images" / "a").mkdir(parents=True)
    for number in range(12):
        pixels = generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / "a" / f"{number:02}.png")
    return tmp_path / "images"


def to_tensor(image):
    return torch.from_numpy(np.asarray(image.convert("RGB").resize((8, 8)), np.float32) / 255).permute(2, 0, 1)


def make_model():
    torch.manual_seed(0)
    return lurk.load_model(
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2)), preprocess=to_tensor
    )


def test_hits_of_an_honest_index_agree(folder, tmp_path):
    model, images = make_model(), lurk.load_images(folder)
    index = lurk.sweep(model, images, cache=tmp_path / "cache")
    checks = list(verify(model, images, index, [UnitRef("0", 1), UnitRef("3", 0)]))
    assert len(checks) == 36
    assert all(check.agrees for check in checks)


def test_changed_weights_images_and_missing_files_are_named(folder, tmp_path):
    model, images = make_model(), lurk.load_images(folder)
    index = lurk.sweep(model, images, cache=tmp_path / "cache")
    best = index.unit("0", 1).hits_max[0]
    with torch.no_grad():
        model.module[0].bias[1] += 5
    checks = list(verify(model, images, index, [UnitRef("0", 1)]))
    assert not any(check.agrees for check in checks)
    assert "computed" in checks[0].note
    (folder / best.path).unlink()
    gone = [check for check in verify(make_model(), images, index, [UnitRef("0", 1)]) if check.image == best.image]
    assert all("cannot be read" in check.note for check in gone)
    fewer = lurk.load_images(folder)
    assert any("image set has changed" in check.note for check in verify(make_model(), fewer, index, [UnitRef("0", 1)]))


def test_another_value_before_the_activation_is_named(folder, tmp_path):
    model, images = make_model(), lurk.load_images(folder)
    with torch.no_grad():
        model.module[0].bias[1] = -50
    index = lurk.sweep(model, images, cache=tmp_path / "cache")
    assert index.unit("0", 1).state == "dead"
    assert all(check.agrees for check in verify(model, images, index, [UnitRef("0", 1)]))
    with torch.no_grad():
        model.module[0].bias[1] = -51
    checks = list(verify(model, images, index, [UnitRef("0", 1)]))
    assert not any(check.agrees for check in checks)
    assert all("before the activation function" in check.note for check in checks)


def test_a_worker_sweeps_and_verifies_by_job(folder, tmp_path):
    from lurk.worker import tasks

    source = tmp_path / "net.py"
    source.write_text(FACTORY)
    settings = Settings(model=f"{source}:make", data=str(folder), cache=str(tmp_path / "cache"))
    cache = tmp_path / "cache"
    cache.mkdir(mode=0o700)
    worker = Worker(cache, tasks.run, name="me")
    queue = open_local_queue(cache)
    queue.submit(settings.sweep_spec(), 2)
    assert worker.run_next()
    sweep = queue.get(settings.sweep_spec().key)
    assert (sweep.state, sweep.result["images"]) == ("done", 12)
    spec = JobSpec("verify", settings.study, (*settings.sweep_spec().parameters, ("layer", "0"), ("unit", 2)))
    queue.submit(spec)
    assert worker.run_next()
    assert queue.get(spec.key).result == {"checked": 18, "agree": 18, "wrong": [], "generation": 1}
    queue.submit(JobSpec("colour", settings.study))
    assert worker.run_next()
    job = queue.get(JobSpec("colour", settings.study).key)
    assert job.state == "failed"
    assert "no kind of job" in job.error[1]
