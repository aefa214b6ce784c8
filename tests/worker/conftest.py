"""A small network that was swept, and a worker that runs what is asked for."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lurk.config.options import Settings
from lurk.jobs.method_request import MethodRequest
from lurk.jobs.open_queue import open_local_queue
from lurk.service.service import Service
from lurk.storage.index import Index
from lurk.storage.manifest import study_index
from lurk.storage.render_store import open_renders
from lurk.worker.model_cache import cached_model
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
        self.queue = open_local_queue(self.cache)
        self.service = Service({self.settings.study: self.settings}, self.cache, self.queue, open_renders(self.cache))
        self.queue.submit(self.settings.sweep_spec(), 2)
        self.work()
        self.folder = study_index(self.cache, self.settings.study)
        self.index = Index(self.folder)

    def work(self) -> None:
        from lurk.worker.tasks import run

        worker = Worker(self.cache, run)
        while worker.run_next():
            pass

    def submit(self, kind, units=(1,), layer="3", *, options=(), **more):
        request = MethodRequest(kind, layer, tuple(units), options=tuple(dict(options).items()), **more)
        return self.service.ask(self.settings.study, request)

    def ask(self, *given, **more):
        """Submit a request, let the worker work, and submit it again."""
        key = self.submit(*given, **more)["key"]
        self.work()
        job = self.queue.get(key)
        if job.state == "failed":
            raise AssertionError(job.error, job.traceback)
        return self.submit(*given, **more)

    @property
    def model(self):
        return cached_model(self.settings)


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench(tmp_path_factory.mktemp("bench"))
