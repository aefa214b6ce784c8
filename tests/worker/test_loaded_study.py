"""A request is about the model and the images of its index; if they have changed, the job fails and says so."""

from dataclasses import replace

from PIL import Image

from lurk.images import image_files
from lurk.images.decoding import decode
from lurk.worker.loaded_study import open_study
from lurk.worker.model_cache import _images
from tests.worker.conftest import NETWORK, Bench


def test_changed_weights_are_said_and_nothing_is_drawn_with_them(bench, tmp_path):
    other = Bench(tmp_path)
    network = tmp_path / "net.py"
    network.write_text(NETWORK.replace("SEED", "1"))
    asked = other.submit("picture", units=(0,), options={"steps": 6})
    other.work()
    job = other.queue.get(asked["key"])
    assert (job.state, job.error[0]) == ("failed", "WeightsError")
    assert "sweep again" in job.error[1]


def test_a_changed_image_set_is_said(tmp_path):
    other = Bench(tmp_path)
    Image.new("RGB", (16, 16)).save(tmp_path / "images" / "a" / "0.png")
    _images.cache_clear()
    answer = other.submit("map", units=(0,), method="gradient", image=0, target="map")
    other.work()
    assert "sweep again" in other.queue.get(answer["key"]).error[1]


def test_an_image_from_the_store_is_not_decoded_again(bench, monkeypatch):
    decoded = []
    monkeypatch.setattr(image_files, "decode", lambda *given: decoded.append(given) or decode(*given))
    found = []
    for _ in range(2):
        with open_study(replace(bench.settings, keep_images=1), bench.index) as study:
            found.append(study.image(3))
    assert len(decoded) == 1
    assert found[0].equal(found[1])
