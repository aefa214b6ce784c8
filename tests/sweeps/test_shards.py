"""A sweep in shards is the sweep of one worker but for the rounding of sums; a lost worker costs its shard only."""

import random
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import lurk
from lurk.errors import BusyError, Cancelled, ImagesError, LurkError
from lurk.storage.index import Index
from lurk.storage.index_writer import write_index, write_shard
from lurk.storage.manifest import index_folder, read_manifest
from lurk.sweeps import shard_merge
from lurk.sweeps.shard_merge import sweep_in_shards
from lurk.sweeps.shards import Shard, cut, is_done, sweep_shard
from lurk.sweeps.sweep import describe
from lurk.sweeps.sweep_options import SweepOptions
from tests.index_equality import (
    assert_identical,
    assert_same_but_for_rounding,
    assert_same_index,
    images_and_views,
)

OPTIONS = SweepOptions(top=5, batch_size=4)


def to_tensor(image):
    return torch.from_numpy(np.asarray(image.convert("RGB").resize((16, 16)), np.float32) / 255).permute(2, 0, 1) - 0.5


class Net(nn.Module):
    """Signed, bounded and pooled units, so that sums cancel, windows grow and classes differ."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2, self.fc = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 5, 3, stride=2), nn.Linear(5, 4)

    def forward(self, x):
        return self.fc(nn.functional.relu6(self.conv2(self.conv1(x).relu())).mean((2, 3)))


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return lurk.load_model(Net(), preprocess=to_tensor, name="net")


@pytest.fixture
def images(tmp_path):
    """50 pictures of three classes, and two files that are none."""
    generator = np.random.default_rng(0)
    for number in range(50):
        place = tmp_path / "images" / f"class{number % 3}"
        place.mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(0, 1 + number * 5, (20, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"{number:02}.png")
    (tmp_path / "images" / "class0" / "05.png").write_bytes(b"no image")
    (tmp_path / "images" / "class2" / "40.png").write_bytes(b"no image")
    return lurk.load_images(tmp_path / "images")


class Alone:
    """There is no other worker."""

    def __init__(self):
        self.asked, self.reports = [], []

    def ask(self, index, shard):
        self.asked.append(shard)

    def done(self, index, shard):
        return None

    def report(self, done, total, note, rate):
        self.reports.append((done, total, note))

    def give_way(self):
        pass


def alone(model, images, cache, shards, others=None, **options):
    given = {"shards": shards, "cache": cache, "options": OPTIONS, "others": others or Alone()}
    return sweep_in_shards(model, images, **{**given, **options})


@pytest.fixture
def whole(model, images, tmp_path):
    return lurk.sweep(model, images, top=5, cache=tmp_path / "whole", batch_size=4)


def test_shards_are_ranges_of_whole_batches_that_hold_every_image_once():
    for images, size, shards in ((50, 4, 3), (1, 16, 4), (64, 16, 4), (1000, 7, 13), (5, 1, 9)):
        parts = cut(images, size, shards)
        assert [number for part in parts for number in range(part.first, part.last)] == list(range(images))
        assert all(part.first % size == 0 and part.last > part.first for part in parts)
        assert len(parts) <= shards
        sizes = [-(-(part.last - part.first) // size) for part in parts]
        assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("shards", [1, 2, 3, 13, 99])
def test_the_merged_index_is_that_of_one_sweep_but_for_rounding(model, images, whole, tmp_path, shards):
    index = alone(model, images, tmp_path / "cache", shards)
    assert index.key == whole.key
    assert_same_index(index, whole)
    assert not (index.folder / "shards").exists()


def test_the_order_in_which_shards_are_merged_does_not_matter(model, images, whole, tmp_path, monkeypatch):
    parts = cut(len(images), 4, 5)
    for seed in range(4):
        shuffled = random.Random(seed).sample(parts, len(parts))
        monkeypatch.setattr(shard_merge, "cut", lambda *_, shuffled=shuffled: shuffled)
        index = alone(model, images, tmp_path / str(seed), 5)
        assert index.manifest.complete
        assert sorted(index.manifest.skipped) == sorted(whole.manifest.skipped)
        assert_same_but_for_rounding(index, whole)
        assert images_and_views(index) == images_and_views(whole)


def test_one_shard_is_one_sweep_to_the_last_bit(model, images, whole, tmp_path):
    assert_identical(alone(model, images, tmp_path / "cache", 1), whole)


@pytest.mark.slow
def test_the_bundled_network_in_shards_is_the_network_in_one_sweep(tmp_path):
    model = lurk.load_model("efficientnet_lite0", weights="random")
    generator = torch.Generator().manual_seed(0)
    images = lurk.load_images([(torch.randn(3, 224, 224, generator=generator), i % 3) for i in range(11)])
    options = {"batch_size": 2}
    one = lurk.sweep(model, images, cache=tmp_path / "one", **options)
    many = alone(model, images, tmp_path / "many", 3, options=SweepOptions(**options))
    assert_same_index(many, one)


def test_other_workers_and_the_one_that_merges_share_the_shards(model, images, whole, tmp_path):
    class Helping(Alone):
        """Sweeps the first shard that is asked for, as another worker does, before the others are begun."""

        def ask(self, index, shard):
            super().ask(index, shard)
            if len(self.asked) == 1:
                sweep_shard(model, images, index_folder(tmp_path / "cache", index), shard, OPTIONS)

    others = Helping()
    index = alone(model, images, tmp_path / "cache", 3, others)
    assert others.asked == cut(len(images), 4, 3)
    assert_same_index(index, whole)


def begun(model, images, cache):
    """An index of which nothing is swept yet."""
    manifest = describe(model, images, SweepOptions(top=5))
    with write_index(cache, manifest, zip(images.paths, images.labels, strict=True)) as writer:
        return writer.folder


def test_a_shard_that_was_cut_short_goes_on_from_its_checkpoint(model, images, whole, tmp_path):
    folder = begun(model, images, tmp_path / "cache")
    part = cut(len(images), 4, 2)[1]

    def stop(done):
        if done >= 8:
            raise Cancelled

    with pytest.raises(Cancelled):
        sweep_shard(model, images, folder, part, OPTIONS, stop)
    assert not is_done(folder, part)
    seen = []
    sweep_shard(model, images, folder, part, OPTIONS, seen.append)
    assert seen[0] == 12
    assert is_done(folder, part)
    assert_same_index(alone(model, images, tmp_path / "cache", 2), whole)


def test_a_shard_whose_states_are_lost_is_swept_anew_and_the_others_are_not(model, images, whole, tmp_path):
    folder, parts = begun(model, images, tmp_path / "cache"), cut(len(images), 4, 3)
    for part in parts:
        sweep_shard(model, images, folder, part, OPTIONS)
    shutil.rmtree(folder / "shards" / parts[1].name)
    others = Alone()
    assert_same_index(alone(model, images, tmp_path / "cache", 3, others), whole)
    assert others.asked == [parts[1]]


def test_two_processes_do_not_sweep_the_same_shard(model, images, tmp_path):
    folder, part = begun(model, images, tmp_path / "cache"), Shard(0, 20, 4)
    with write_shard(folder, part.name, read_manifest(folder)), pytest.raises(BusyError):
        sweep_shard(model, images, folder, part, OPTIONS)


def test_a_machine_with_other_weights_cannot_help_and_says_what_differs(model, images, tmp_path):
    folder = begun(model, images, tmp_path / "cache")
    torch.manual_seed(1)
    other = lurk.load_model(Net(), preprocess=to_tensor, name="net")
    with pytest.raises(LurkError, match="its weight hash is"):
        sweep_shard(other, images, folder, Shard(0, 20, 4), OPTIONS)


def test_what_is_shown_meanwhile_is_true_and_one_worker_does_not_go_on_from_it(
    model, images, whole, tmp_path, monkeypatch
):
    monkeypatch.setattr(shard_merge, "FIRST_MERGE_S", 0.0)
    monkeypatch.setattr(shard_merge, "MERGE_COST", float("inf"))  # merge at every step, whatever it costs
    monkeypatch.setattr(shard_merge, "WAIT_S", 0.0)
    seen = []

    class Stopping(Alone):
        def report(self, done, total, note, rate):
            folder = index_folder(tmp_path / "cache", whole.key)
            manifest = read_manifest(folder)
            if manifest.generation:
                index = Index(folder).open_all()
                seen.append((manifest.done, len(index.unit("conv1", 0).hits_max), manifest.shards))
            if done >= 36:
                raise Cancelled

    with pytest.raises(Cancelled):
        alone(model, images, tmp_path / "cache", 2, Stopping())
    assert seen
    assert all(0 < done < 52 and hits == 5 and shards == 2 for done, hits, shards in seen[-1:])
    index = lurk.sweep(model, images, top=5, cache=tmp_path / "cache", batch_size=4)
    assert_same_index(index, whole)
    assert not (index.folder / "shards").exists()


def test_not_one_good_image_is_an_error_in_shards_too(model, tmp_path):
    place = tmp_path / "images" / "class"
    place.mkdir(parents=True)
    for number in range(9):
        (place / f"{number}.png").write_bytes(b"no image")
    with pytest.raises(ImagesError, match="not one of the 9 images"):
        alone(model, lurk.load_images(tmp_path / "images"), tmp_path / "cache", 2)


def test_progress_is_that_of_the_whole(model, images, tmp_path, monkeypatch):
    monkeypatch.setattr(shard_merge, "WAIT_S", 0.0)
    others = Alone()
    alone(model, images, tmp_path / "cache", 4, others)
    figures = [done for done, total, _ in others.reports]
    assert figures == sorted(figures)
    assert figures[-1] <= len(images) == others.reports[0][1]
    assert "of 4 shards" in others.reports[0][2]


def test_a_finished_index_is_given_at_once(model, images, whole, tmp_path):
    others = Alone()
    index = alone(model, images, tmp_path / "whole", 4, others)
    assert (index.key, others.asked) == (whole.key, [])
