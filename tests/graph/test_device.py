import pytest
import torch
from torch import nn

from lurk.errors import ModelError
from lurk.graph.device import choose_device, device_of, dtype_of, moved_to


def test_auto_is_a_gpu_if_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("auto") == choose_device("cuda") == torch.device("cuda:0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == torch.device("cpu")


@pytest.mark.parametrize(("number", "device"), [("0", "cuda:0"), ("1", "cuda:1"), ("2", "cuda:0")])
def test_a_worker_takes_the_gpu_of_its_number(monkeypatch, number, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LURK_GPU", number)
    assert choose_device("auto") == choose_device("cuda") == torch.device(device)


def test_a_device_that_is_not_there_names_the_flag():
    with pytest.raises(ModelError, match=r"'warp' cannot be used.*--device"):
        choose_device("warp")


def test_the_device_is_that_of_the_weights_and_the_cpu_without_any():
    assert device_of(nn.Linear(1, 1, device="meta")) == torch.device("meta")
    assert device_of(nn.ReLU()) == torch.device("cpu")


def test_the_dtype_is_that_of_the_floating_weights_and_float32_without_any():
    assert dtype_of(nn.Linear(1, 1).half()) == torch.float16
    assert dtype_of(nn.ReLU()) == torch.float32


def test_a_module_that_was_moved_comes_back():
    module, before = nn.Linear(1, 1), torch.backends.cudnn.deterministic
    with moved_to(module, torch.device("cpu")):
        assert torch.backends.cudnn.deterministic
        assert not torch.backends.cudnn.allow_tf32
    assert device_of(module) == torch.device("cpu")
    assert torch.backends.cudnn.deterministic == before
