import argparse
import hashlib
import pickle
import random
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import lurk
from lurk.errors import WeightsError
from lurk.models.checkpoint import fill


class Net(nn.Module):
    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3)
        self.bn = nn.BatchNorm2d(5)
        self.fc = nn.Linear(5, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.bn(self.conv(x)).relu().mean((2, 3)))


@pytest.fixture
def trained() -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    return {name: torch.rand_like(value.float()).to(value.dtype) for name, value in Net().state_dict().items()}


def equal(module: nn.Module, state: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, state[name]) for name, value in module.state_dict().items())


def wrap(state, kind):
    prefixed = OrderedDict(("module." + name, value) for name, value in state.items())
    twice = {"module._orig_mod." + name: value for name, value in state.items()}
    return {
        "plain": state,
        "ordered": OrderedDict(state),
        "parallel": prefixed,
        "compiled": {"_orig_mod." + name: value for name, value in state.items()},
        "both": twice,
        "state_dict": {"state_dict": prefixed, "epoch": 3, "best": np.float64(0.5), "args": argparse.Namespace(lr=1)},
        "model": {"model": state, "optimizer": {"state": {}, "groups": [{"lr": 0.1}]}},
        "nested": {"model": {"state_dict": twice}},
        "parameters": {name: nn.Parameter(value, value.is_floating_point() and False) for name, value in state.items()},
    }[kind]


KINDS = ["plain", "ordered", "parallel", "compiled", "both", "state_dict", "model", "nested", "parameters"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("legacy", [False, True])
def test_every_usual_form_is_read(tmp_path, trained, kind, legacy):
    torch.save(wrap(trained, kind), tmp_path / "a.pth", _use_new_zipfile_serialization=not legacy)
    module = Net()
    filled = fill(module, tmp_path / "a.pth")
    assert equal(module, trained)
    assert filled.sha256 == hashlib.sha256((tmp_path / "a.pth").read_bytes()).hexdigest()
    undone = {"plain": "", "ordered": "", "parameters": ""}.get(kind, "taken off")
    assert undone in "".join(filled.notes)
    assert bool(filled.notes) == bool(undone)


def test_safetensors_are_read(tmp_path, trained):
    save_file(trained, tmp_path / "a.safetensors")
    module = Net()
    assert fill(module, tmp_path / "a.safetensors").notes == ()
    assert equal(module, trained)


def test_a_model_from_a_file_says_which_and_leaves_the_given_one_alone(tmp_path, trained):
    torch.save(wrap(trained, "parallel"), tmp_path / "mine.pth")
    net = Net()
    before = net.conv.weight.clone()
    model = lurk.load_model(net, weights=str(tmp_path / "mine.pth"), input_shape=(3, 16, 16))
    assert model.weights == "mine.pth"
    assert "'module.'" in model.notes[0]
    assert model.weight_hash == hashlib.sha256((tmp_path / "mine.pth").read_bytes()).hexdigest()
    assert equal(model.module, trained)
    assert torch.equal(net.conv.weight, before)


def test_half_precision_is_widened(tmp_path, trained):
    torch.save({name: value.half() for name, value in trained.items()}, tmp_path / "a.pth")
    module = Net()
    fill(module, tmp_path / "a.pth")
    assert torch.equal(module.conv.weight, trained["conv.weight"].half().float())


def test_a_missing_batch_counter_does_not_matter(tmp_path, trained):
    torch.save({name: value for name, value in trained.items() if "tracked" not in name}, tmp_path / "a.pth")
    fill(Net(), tmp_path / "a.pth")


def changed(state, **changes):
    found = {name: value.clone() for name, value in state.items()}
    found.update(changes)
    return {name: value for name, value in found.items() if value is not None}


def write_not_finite(state, value):
    weight = state["conv.weight"].clone()
    weight[0, 0, 0, :2] = value
    return changed(state, **{"conv.weight": weight})


class Evil:
    def __reduce__(self):
        return (Path.write_text, (Path("evil.txt"), "run"))


BAD = {
    "missing": (lambda s: changed(s, **{"fc.bias": None}), r"lacks fc\.bias"),
    "unknown": (lambda s: changed(s, extra=torch.zeros(1)), "has extra too many"),
    "other network": (lambda s: {"a": torch.zeros(1)}, "of another network"),
    "classes": (lambda s: Net(7).state_dict(), "trained for 7 classes, the model has 4"),
    "shape": (lambda s: changed(s, **{"conv.weight": torch.zeros(5, 1, 3, 3)}), r"conv\.weight is \(5, 1, 3, 3\)"),
    "nan": (lambda s: write_not_finite(s, float("nan")), r"NaN or infinity in conv\.weight \(2 of 135 values\)"),
    "inf": (lambda s: write_not_finite(s, float("-inf")), r"conv\.weight \(2 of 135 values\)"),
    "huge view": (
        lambda s: changed(s, **{"fc.bias": torch.zeros(1).expand(10**12)}),
        r"fc\.bias is \(1000000000000,\)",
    ),
    "complex": (lambda s: changed(s, **{"fc.bias": torch.zeros(4, dtype=torch.complex64)}), "real numbers"),
    "sparse": (lambda s: changed(s, **{"fc.weight": s["fc.weight"].to_sparse()}), "real numbers"),
    "whole module": (lambda s: Net(), "Python objects"),
    "evil": (lambda s: {**s, "x": Evil()}, "Python objects"),
    "number": (lambda s: {**s, "epoch": 3}, "'epoch', which is no tensor"),
    "empty": (lambda s: {}, "no weights"),
    "list": (lambda s: list(s.values()), "list"),
    "tensor": (lambda s: s["fc.bias"], "Tensor"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_does_not_fit_is_told_in_one_line_and_changes_nothing(tmp_path, trained, kind, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make, reason = BAD[kind]
    torch.save(make(trained), tmp_path / "a.pth")
    module = Net()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    with pytest.raises(WeightsError, match=reason) as caught:
        fill(module, tmp_path / "a.pth")
    assert "\n" not in str(caught.value)
    assert "weights_only" not in str(caught.value)
    assert equal(module, before)
    assert not (tmp_path / "evil.txt").exists()


def test_long_lists_of_names_are_cut(tmp_path):
    torch.save({f"layer{n}.weight": torch.zeros(1) for n in range(500)}, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="and 497 more too many") as caught:
        fill(Net(), tmp_path / "a.pth")
    assert len(str(caught.value)) < 500


def test_files_that_are_none_are_told_in_one_line(tmp_path, trained):
    (tmp_path / "empty.pth").touch()
    (tmp_path / "text.pth").write_text("no weights at all")
    (tmp_path / "text.safetensors").write_text("no weights at all")
    (tmp_path / "folder.pth").mkdir()
    (tmp_path / "plain.pt").write_bytes(pickle.dumps({"a": Path("x")}, protocol=2))
    with zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 100_000_000)
    with zipfile.ZipFile(tmp_path / "script.pt", "w") as archive:
        archive.writestr("archive/data.pkl", b"x")
        archive.writestr("archive/constants.pkl", b"x")
    with zipfile.ZipFile(tmp_path / "pictures.pth", "w") as archive:
        archive.writestr("a.png", b"x")
    reasons = {
        "none.pth": "no file",
        "empty.pth": "empty",
        "text.pth": "damaged",
        "text.safetensors": "damaged",
        "folder.pth": "no file",
        "plain.pt": "damaged|Python objects",
        "bomb.pth": "unpacks to",
        "script.pt": "TorchScript",
        "pictures.pth": "damaged",
    }
    for name, reason in reasons.items():
        with pytest.raises(WeightsError, match=reason) as caught:
            fill(Net(), tmp_path / name)
        assert "\n" not in str(caught.value)
        assert name in str(caught.value)


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_damage_anywhere_is_read_or_told(tmp_path, trained, kind):
    if kind == "safetensors":
        file = tmp_path / "a.safetensors"
        save_file(trained, file)
    else:
        file = tmp_path / "a.pth"
        torch.save(trained, file, _use_new_zipfile_serialization=kind == "zip")
    whole, lots = file.read_bytes(), random.Random(kind)
    for _ in range(150):
        damaged = bytearray(whole)
        for _ in range(lots.randint(1, 6)):
            damaged[lots.randrange(lots.choice((64, 600, len(damaged))))] = lots.randrange(256)
        file.write_bytes(damaged[: lots.choice((len(damaged), lots.randrange(1, len(damaged))))])
        try:
            fill(Net(), file)
        except WeightsError as error:
            reason = str(error)
        else:
            reason = "none: it fits"
        assert reason
        assert "\n" not in reason
