"""Runs what examples/ shows: the notebook from top to bottom, and the small programs with their commands."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "examples" / "README.md").read_text()
PROGRAMS = re.findall(r"^python -m (examples\.\S+)$", PAGE, re.MULTILINE)


def run(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout + done.stderr


def test_every_example_is_in_the_readme():
    names = {name.removeprefix("examples.").partition(".")[0] for name in PROGRAMS} | {"tour"}
    there = {path.stem for path in (ROOT / "examples").iterdir() if not path.name.startswith(("__", "."))}
    assert there - {"README"} == names
    assert all(f"`{name}" in PAGE for name in names)


@pytest.mark.slow
def test_the_digits_are_learned_and_shown(tmp_path):
    printed = run("-m", "examples.digits", str(tmp_path))
    assert float(re.search(r"([\d.]+)% of 1,000", printed).group(1)) > 90
    assert "data:image/webp" in (tmp_path / "digits.html").read_text()


@pytest.mark.slow
def test_registers_and_class_token_are_layers_of_their_own(tmp_path):
    printed = run("-m", "examples.vit_registers", str(tmp_path))
    assert re.search(r"^blocks\.0 +32 units, 6 × 6 positions$", printed, re.MULTILINE)
    for token in ("class", *(f"register{number}" for number in range(1, 5))):
        assert re.search(rf"^blocks\.1:{token} +32 units, 1 × 1 positions$", printed, re.MULTILINE), token


@pytest.mark.slow
def test_a_repository_s_lightning_checkpoint_is_swept(tmp_path):
    run("-m", "examples.lightning_repo.train", str(tmp_path))
    sweep = ["-m", "lurk", "sweep", "--model", "examples/lightning_repo/net.py:make", "--data", "demo", "--sample", "1"]
    printed = run(*sweep, "--weights", str(tmp_path / "last.ckpt"), "--cache", str(tmp_path / "cache"))
    assert "took `state_dict.net`, 20 of 20 tensors" in printed
    assert "40 images" in printed


@pytest.mark.slow
def test_the_notebook_runs_from_top_to_bottom(tmp_path):
    from nbclient import NotebookClient

    book = nbformat.read(ROOT / "examples" / "tour.ipynb", as_version=4)
    nbformat.validate(book)
    assert all(not cell.outputs for cell in book.cells if cell.cell_type == "code")
    environment = {"TOUR_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    client = NotebookClient(book, timeout=240, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}})
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        client.execute()
    kinds = [kind for cell in book.cells for output in cell.get("outputs", ()) for kind in output.get("data", ())]
    assert "text/html" in kinds
    assert "application/vnd.plotly.v1+json" in kinds
