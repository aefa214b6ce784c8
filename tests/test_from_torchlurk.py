"""Runs the code of docs/from-torchlurk.md from top to bottom, with a small network and a few pictures."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "from-torchlurk.md").read_text()
STEPS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
THERE = (
    "Lurk(", "compute_layer_viz", "compute_viz", "plot_filter_viz", "compute_top_imgs", "plot_top", "plot_crop",
    "compute_grads", "plot_hist", "serve(", "end_serve",
)  # fmt: skip


def to_tensor(picture: Image.Image) -> torch.Tensor:
    samples = np.asarray(picture.convert("RGB").resize((12, 12)), np.float32) / 255
    return torch.from_numpy(samples).permute(2, 0, 1)


def test_each_step_of_the_first_version_has_a_row():
    for name in THERE:
        assert name in PAGE, name
    assert [step for step in STEPS if "lurk" in step or "unit" in step] == STEPS


@pytest.mark.slow
def test_the_steps_run_in_order(tmp_path, monkeypatch):
    for number in range(6):
        place = tmp_path / "path" / "to" / "images" / "ab"[number % 2] / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((16, 16, 3), 40 * number, np.uint8)).save(place)
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(400, 2))
    known = {"your_model": network, "preprocess": to_tensor}
    for step in STEPS:
        exec(compile(step, "docs/from-torchlurk.md", "exec"), known)
    assert known["pictures"].shape == (1, 3, 12, 12)
    assert len(known["maps"]) == len(known["unit"].hits_mean) == 6
    assert len(known["unit"].plot_patches().layout.images) == 6
    assert known["page"].url.startswith("http://127.0.0.1:")
