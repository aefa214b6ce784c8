"""What several tests need: a small finished index made without a model, the demo set, and an empty Redis."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from lurk.images.load_images import load_images
from lurk.records import LayerInfo, Provenance
from lurk.storage.index import Index
from lurk.storage.index_writer import IndexWriter, write_index
from lurk.storage.manifest import Manifest
from lurk.storage.webp import encode_view
from lurk.sweeps.kernels.maps import bin_numbers
from lurk.sweeps.reducers import Batch
from lurk.sweeps.statistics import Statistics
from tests.real_redis import real_redis

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")  # then Triton runs its kernels on a CPU; read as it is imported

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in the background of a shell; children would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    """Keep compiled kernels from one run of the tests to the next, for all processes that they start."""
    os.environ.setdefault("NUMBA_CACHE_DIR", str(config.rootpath / ".pytest_cache" / "numba"))


LAYERS = (
    LayerInfo(
        "conv",
        "Conv2d",
        3,
        (3, 4, 4),
        (3, 3),
        (2, 2),
        "post",
        offset=(-1, -1),
        grid=(4, 4),
        bound=6.0,
        activation="relu6",
        rectified=True,
    ),
    LayerInfo("fc", "Linear", 2, (2,), None, None, "post"),
)


def make_manifest(images: int = 6, **changes) -> Manifest:
    provenance = Provenance("hash", "toy", "pretrained", "none", "images", "sweep", 1, (("layers", None), ("top", 4)))
    given = {
        "provenance": provenance,
        "layers": LAYERS,
        "classes": ("cat", "dog", "owl"),
        "class_note": "",
        "image_set": "toy images",
        "images": images,
        "input_shape": (3, 8, 8),
        "top": 4,
    }
    return Manifest(**{**given, **changes})


def make_statistics(images: int = 6) -> tuple[Statistics, Batch]:
    """Units 0 to 2 are conv's, 3 and 4 fc's; unit 1 is never above 0, unit 2 is at its bound wherever above 0.

    What enters conv's activation function is its score, and for unit 2 the higher the later the image.
    """
    generator = torch.Generator().manual_seed(0)
    maximum = torch.randn(images, 5, generator=generator)
    maximum[:, 1] = -maximum[:, 1].abs()
    maximum[:, 2] = 6
    before = maximum.clone()
    before[:, 2] += torch.arange(images) / 10
    before[:, 3:] = torch.nan
    batch = Batch(
        images=torch.arange(images),
        labels=torch.arange(images) % 2,
        maximum=maximum,
        position=torch.arange(images, dtype=torch.int32)[:, None].repeat(1, 5)
        * torch.tensor([1, 1, 1, 0, 0], dtype=torch.int32),
        mean=maximum.double() / 2,
        squares=maximum.double() ** 2 * 16,
        before=before,
        before_mean=before / 2,
        lowest=torch.where(before.isnan(), -torch.inf, before - 20),
        positive=torch.tensor([7, 0, 8, 1, 1], dtype=torch.int32).repeat(images, 1),
        bounded=torch.tensor([0, 0, 8, 0, 0], dtype=torch.int32).repeat(images, 1),
        positions=torch.tensor([16, 16, 16, 1, 1]),
        drawn=(bin_numbers(maximum)[:, :, None],),
    )
    statistics = Statistics(5, 4, 3)
    statistics.add(batch)
    return statistics, batch


def finish(writer: IndexWriter, images: int = 6) -> None:
    statistics, _ = make_statistics(images)
    for image in range(images):
        writer.put_view(image, encode_view(np.full((8, 8, 3), 10 * image, np.uint8)))
    writer.finish(statistics.state(), done=images, skipped=())


@pytest.fixture
def toy_index(tmp_path: Path) -> Index:
    """A finished index of two layers, six images and three classes, the last without images."""
    entries = [(f"{'cat' if i % 2 == 0 else 'dog'}/{i}.png", i % 2) for i in range(6)]
    with write_index(tmp_path, make_manifest(), entries) as writer:
        finish(writer)
        return Index(writer.folder)


@pytest.fixture(scope="session")
def put_demo_set(tmp_path_factory) -> Callable[[Path], Path]:
    """Copies the demo set into a cache directory that has none yet; it is made once, which takes seconds."""
    made = tmp_path_factory.mktemp("demo")
    load_images("demo", cache=made)

    def put(cache: Path) -> Path:
        cache.mkdir(mode=0o700, exist_ok=True)
        shutil.copytree(made / "demo", cache / "demo")
        return cache

    return put


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory):
    with real_redis(tmp_path_factory.mktemp("redis"), flush="no") as server:
        yield server


@pytest.fixture
def redis_url(redis_server):
    """Address of an empty database."""
    redis_server.client().flushall()
    return redis_server.url()
