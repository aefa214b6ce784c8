"""A user's script that uses every public name passes mypy --strict, and a wrong one does not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import lurk

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = """
from pathlib import Path

import numpy as np
from torch import nn

import lurk


def shown(network: nn.Module, folder: Path) -> list[str]:
    model: lurk.Model = lurk.load_model(network, classes=["cat", "dog"])
    assert lurk.Preprocess.__doc__
    images = lurk.load_images(folder, sample=5)
    index: lurk.Index = lurk.sweep(model, images, top=4, cache=folder / "cache")
    index = lurk.Index(index.folder, model=model, images=images)
    layer: lurk.Layer = index.layer("conv1")
    info: lurk.LayerInfo = layer
    scores: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = layer.scores("mean")
    unit: lurk.Unit = index.unit(info.name, 3)
    record: lurk.UnitRecord = unit
    hit: lurk.Hit = record.hits_max[0]
    for figure in (unit.plot_top("mean"), unit.plot_patches(), unit.plot_classes(), unit.plot_distribution()):
        figure.show()
    unit.plot_picture(device="cpu").write_html("picture.html")
    layer.plot_grid().show()
    found = lurk.attribute(model, hit, info.name, 3, method="gradient", row=hit.row, col=hit.col)
    drawn = lurk.visualize(model, info.name, [1, 2], steps=8)
    print(found.shape, drawn.shape, scores.max(), index.frame())
    try:
        page = lurk.serve(index, port=0, block=False)
    except lurk.LurkError as error:
        return [str(error)]
    with page:
        return [page.url, hit.path]
"""


def check(folder: Path, script: str) -> tuple[int, str]:
    (folder / "script.py").write_text(script)
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--config-file=",
        "--cache-dir",
        str(folder / "cache"),
        "script.py",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False)
    return run.returncode, run.stdout + run.stderr


def test_the_script_uses_every_public_name():
    assert [name for name in lurk.__all__ if f"lurk.{name}" not in SCRIPT] == []
    assert (ROOT / "lurk" / "py.typed").is_file()


@pytest.mark.slow
@pytest.mark.timeout(1300)  # mypy reads all of torch
def test_a_user_s_script_passes_and_mistakes_in_it_are_found(tmp_path):
    code, said = check(tmp_path, SCRIPT)
    assert code == 0, said
    wrong = SCRIPT.replace("lurk.serve(index, port=0", "lurk.serve(index, port='0'").replace(
        '"mean")\n    unit', '"avg")\n    unit'
    )
    code, said = check(tmp_path, wrong + "\nlurk.no_such_name\n")
    assert code == 1
    assert 'Argument "port" to "serve"' in said
    assert "expected \"Literal['max', 'mean']\"" in said
    assert 'has no attribute "no_such_name"' in said
