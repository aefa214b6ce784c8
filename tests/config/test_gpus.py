"""GPUs are counted by the files of their devices, but for those that are hidden."""

import pytest

from lurk.config import gpus
from lurk.config.gpus import count_gpus, worker_count


@pytest.fixture
def devices(tmp_path):
    for name in ("nvidia0", "nvidia1", "nvidia3", "nvidiactl", "nvidia-uvm", "null"):
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("shown", "count"), [(None, 3), ("0,1,3", 3), ("1", 1), ("GPU-5f, GPU-6a", 2), ("", 0), ("-1", 0), ("0,-1,1", 1)]
)
def test_hidden_gpus_do_not_count(devices, shown, count):
    assert count_gpus(devices, {} if shown is None else {"CUDA_VISIBLE_DEVICES": shown}) == count


def test_more_names_than_gpus_do_not_count(devices, tmp_path):
    assert count_gpus(devices, {"CUDA_VISIBLE_DEVICES": "0,1,2,3"}) == 3
    assert count_gpus(tmp_path / "none", {"CUDA_VISIBLE_DEVICES": "0,1"}) == 0


@pytest.mark.parametrize(
    ("there", "device", "count"),
    [(0, "auto", 1), (1, "auto", 1), (4, "auto", 4), (4, "cuda", 4), (4, "cuda:1", 1), (4, "cpu", 1)],
)
def test_each_gpu_has_a_worker_unless_a_device_is_named(monkeypatch, there, device, count):
    monkeypatch.setattr(gpus, "count_gpus", lambda: there)
    assert worker_count(device) == count
