"""docs/extending.md tells the truth: each file that it shows is all that has to be added, and its examples run."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text()
FILES = dict(re.findall(r"```python\n# (lurk/\S+\.py)\n(.*?)```", PAGE, re.DOTALL))
METHOD, MODEL, IMAGES, PANEL, COMMAND = FILES
METHOD_USE, MODEL_USE, IMAGES_USE = re.findall(r"```python\n(import lurk\n.*?)```", PAGE, re.DOTALL)
(COMMAND_USE,) = re.findall(r"```sh\n(.*?)\n```", PAGE, re.DOTALL)
NET = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.relu = nn.Conv2d(3, 4, 3), nn.ReLU()
        nn.init.constant_(self.conv.bias, 10)
        nn.init.constant_(self.conv.bias[2], -10)

    def forward(self, x):
        return self.relu(self.conv(x))


def make_net():
    net = Net()
    net.input_shape = (3, 16, 16)
    return net
"""
LENGTH = """
gradient = lurk.attribute(model, image, "conv", 1, method="gradient")
strength = lurk.attribute(model, image, "conv", 1, method="gradient_strength")[0]
print(abs((gradient**2).sum(0) ** 0.5 - strength).max() < 1e-6 < strength.max())
"""
MODAL = """
from lurk.web.ui.app import create_app
from lurk.web.ui.panels.unit_modal import body
from tests.web.ui.fake import FakeService

create_app(FakeService())
print(body(FakeService(), {"study": "resnet18-birds", "layer": "conv1", "unit": 3}, "max", None, 1))
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the package with the page's files in it."""
    root = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "lurk", root / "lurk", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "assets", root / "assets")
    for path, text in FILES.items():
        assert not (root / path).exists()
        (root / path).write_text(text)
    return root


@pytest.fixture
def python(project, tmp_path, monkeypatch):
    """Runs Python on that copy, in a folder that has what the examples of the page name."""
    monkeypatch.chdir(tmp_path)
    there = tmp_path / "path" / "to"
    for folder in ("images/red", "images/blue", "folder"):
        (there / folder).mkdir(parents=True)
    Image.new("RGB", (20, 20), "red").save(there / "images" / "red" / "1.png")
    Image.new("RGB", (20, 20), "blue").save(there / "images" / "blue" / "1.png")
    (there / "net.py").write_text(NET)
    (there / "folder" / "hubconf.py").write_text(NET)
    digits = np.zeros((3, 8, 8, 3), np.uint8)
    np.savez(there / "digits.npz", images=digits, labels=np.array([0, 1, 1]))

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            env={**os.environ, "PYTHONPATH": f"{project}:{ROOT}", "PYTHONSAFEPATH": "1", "LURK_DEVICE": "cpu"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_the_page_adds_one_file_to_each_table():
    assert [str(Path(path).parent) for path in FILES] == re.findall(
        r"^\| an? \w.*\| `(lurk/.*)/` \|", PAGE, re.MULTILINE
    )


def test_the_method_makes_a_map_and_the_sources_load_a_network_and_images(python):
    uses = (METHOD_USE + LENGTH, MODEL_USE, IMAGES_USE)
    in_one_process = "".join(f"exec({use!r}, {{}}); print('--')\n" for use in uses)
    maps, network, images, _ = python("-c", in_one_process).split("--\n")
    assert maps == "(3, 16, 16)\nTrue\n"
    assert "LayerInfo(name='conv'" in network
    assert images == "3 ('class 0', 'class 1') (8, 8)\n"


def test_the_panel_stands_in_the_modal_of_a_unit(python):
    assert "In numbers" in python("-c", MODAL)


def test_the_command_is_in_the_help_and_runs(python):
    words = shlex.split(COMMAND_USE)
    assert words[:3] == ["python", "-m", "lurk"]
    assert Path(COMMAND).stem in python("-m", "lurk", "--help").rpartition("Commands:")[2]
    python("-m", "lurk", "sweep", *words[4:])
    assert python(*words[1:]) == "conv: 2\n"


def test_the_files_pass_the_linter(project):
    ruff = [sys.executable, "-m", "ruff"]
    for order in (["check"], ["format", "--check"]):
        command = [*ruff, *order, "--no-cache", "--config", str(ROOT / "pyproject.toml"), *FILES]
        run = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=60, check=False)
        assert run.returncode == 0, run.stdout
