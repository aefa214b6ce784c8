# ruff: noqa: E501 - layouts of folders, one a line
import os
import sys
import textwrap
import warnings
from pathlib import Path

import pytest
import torch

import lurk
from lurk.errors import ModelError
from lurk.models import user_code
from lurk.models.user_code import activate, files_of

NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, out):
        super().__init__()
        self.conv = nn.Conv2d(3, out, 3)
        self.input_shape = (3, 8, 8)

    def forward(self, x):
        return self.conv(x).relu().mean((2, 3))
"""


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(textwrap.dedent(text))
    return folder


@pytest.fixture(autouse=True)
def process():
    before, path = set(sys.modules), list(sys.path)
    yield
    user_code._switch(None)
    user_code.REPOSITORIES.clear()
    assert sys.path == path
    assert not [name for name in set(sys.modules) - before if name.partition(".")[0] in ("blocks", "utils", "models")]
    assert user_code.FIRST not in sys.meta_path


def units(source: object) -> int:
    return lurk.load_model(str(source)).module.conv.out_channels


MAKE = "def make():\n    return Net(OUT)\n"
LAYOUTS = {
    "a sibling": ("net.py", {"net.py": "from blocks import Net, OUT\n" + MAKE, "blocks.py": NET + "OUT = 5\n"}),
    "a sibling inside a function": (
        "net.py",
        {"net.py": "def make():\n    from blocks import Net\n    return Net(5)\n", "blocks.py": NET},
    ),
    "a relative sibling": (
        "pack/net.py",
        {"pack/__init__.py": "", "pack/net.py": "from .blocks import Net, OUT\n" + MAKE, "pack/blocks.py": NET + "OUT = 5\n"},
    ),
    "a relative sibling without __init__": (
        "nets/net.py",
        {"nets/net.py": "from .blocks import Net, OUT\n" + MAKE, "nets/blocks.py": NET + "OUT = 5\n"},
    ),
    "the package above": (
        "pack/nets/net.py",
        {
            "pack/__init__.py": "",
            "pack/nets/__init__.py": "from . import net",
            "pack/nets/net.py": "from ..utils import OUT\nfrom ..utils.blocks import Net\n" + MAKE,
            "pack/utils/__init__.py": "OUT = 5",
            "pack/utils/blocks.py": NET,
        },
    ),
    "the folder above without __init__": (
        "code/nets/net.py",
        {
            "code/nets/net.py": "from .blocks import Net\nfrom ..utils import OUT\n" + MAKE,
            "code/nets/blocks.py": NET,
            "code/utils.py": "OUT = 5",
        },
    ),
    "a sibling that reaches higher": (
        "code/nets/net.py",
        {
            "code/nets/net.py": "from .blocks import Net, OUT\n" + MAKE,
            "code/nets/blocks.py": "from ..utils import OUT\n" + NET,
            "code/utils.py": "OUT = 5",
        },
    ),
    "its own package by name": (
        "models/net.py",
        {"models/__init__.py": "", "models/net.py": "from models.blocks import Net\nOUT = 5\n" + MAKE, "models/blocks.py": NET},
    ),
    "the top of the repository": (
        "src/nets/net.py",
        {
            "requirements.txt": "torch",
            "src/nets/net.py": "from src.blocks import Net\nfrom utils.numbers_of_units import OUT\n" + MAKE,
            "src/blocks.py": NET,
            "utils/numbers_of_units.py": "OUT = 5",
        },
    ),
    "the package's own file": (
        "pack/__init__.py",
        {"pack/__init__.py": "from .blocks import Net\nOUT = 5\n" + MAKE, "pack/blocks.py": NET},
    ),
    "relative inside a function": (
        "pack/net.py",
        {"pack/net.py": "def make():\n    from .blocks import Net\n    return Net(5)\n", "pack/blocks.py": NET},
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", LAYOUTS)
def test_a_file_imports_as_in_its_own_repository(tmp_path, kind):
    file, files = LAYOUTS[kind]
    assert units(write(tmp_path / "some-repo", files) / f"{file}:make") == 5


def test_a_late_import_in_the_forward_pass_finds_its_module(tmp_path):
    late = NET.replace("return self.conv", "from blocks import twice\n        return twice(self.conv").replace(
        "(x).relu", "(x)).relu"
    )
    folder = write(tmp_path, {"net.py": late + "OUT = 5\n" + MAKE, "blocks.py": "def twice(x):\n    return 2 * x\n"})
    model = lurk.load_model(f"{folder}/net.py:make")
    assert model.module(torch.zeros(1, 3, 8, 8)).shape == (1, 5)
    assert [layer.name for layer in model.layers] == ["conv"]


def test_two_repositories_with_modules_of_the_same_name_do_not_mix(tmp_path):
    late = NET.replace(
        "return self.conv(x).relu()", "from blocks import OUT as late\n        return late + self.conv(x).relu()"
    )
    for name, out in {"one": 5, "two": 6}.items():
        write(
            tmp_path / name,
            {"models/net.py": "from .blocks import OUT\n" + late + MAKE, "models/blocks.py": f"OUT = {out}"},
        )
        write(tmp_path / name, {"models/blocks.py": f"OUT = {out}", "models/utils.py": ""})
    sources = [tmp_path / name / "models/net.py" for name in ("one", "two")]
    models = [lurk.load_model(f"{source}:make") for source in sources]
    assert [model.module.conv.out_channels for model in models] == [5, 6]
    for source, model, out in [*zip(sources, models, (5, 6), strict=True)] * 2:
        activate(source)
        image = torch.full((1, 3, 8, 8), -1e9)
        expected = out + model.module.conv(image).relu().mean((2, 3))
        assert torch.equal(model.module(image), expected)


def test_a_sibling_wins_over_an_installed_module_and_hides_it_only_meanwhile(tmp_path):
    outside = write(tmp_path / "installed", {"blocks.py": "OUT = 1"})
    sys.path.append(str(outside))
    try:
        import blocks

        folder = write(
            tmp_path / "repo", {"net.py": "from blocks import Net, OUT\n" + MAKE, "blocks.py": NET + "OUT = 5\n"}
        )
        assert units(f"{folder}/net.py:make") == 5
        user_code._switch(None)
        assert sys.modules["blocks"] is blocks
    finally:
        sys.path.remove(str(outside))
        sys.modules.pop("blocks", None)


def test_folders_that_hold_no_code_do_not_hide_installed_packages(tmp_path):
    folder = write(tmp_path, {"net.py": "import torchmetrics, safetensors.torch\n" + NET + "OUT = 5\n" + MAKE})
    (folder / "torchmetrics").mkdir()
    (folder / "safetensors").mkdir()
    assert units(f"{folder}/net.py:make") == 5


def test_a_changed_sibling_is_read_again(tmp_path):
    folder = write(tmp_path, {"net.py": "from blocks import OUT\n" + NET + MAKE, "blocks.py": "OUT = 5"})
    first = lurk.load_model(f"{folder}/net.py:make")
    assert files_of(folder / "net.py") == [folder / "net.py", folder / "blocks.py"]
    (folder / "blocks.py").write_text("OUT = 5\nother = 1")
    second = lurk.load_model(f"{folder}/net.py:make")
    assert second.source != first.source
    (folder / "blocks.py").write_text("OUT = 16")
    assert units(f"{folder}/net.py:make") == 16


def test_code_that_changes_the_process_leaves_it_as_it_was(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["app.py", "--model", "x"])
    changes = """
        import argparse, os, sys, torch
        parser = argparse.ArgumentParser()
        parser.add_argument("--width", type=int, default=5)
        OUT = parser.parse_args().width
        print("hello", len(sys.argv))
        os.chdir("/")
        torch.set_grad_enabled(False)
        torch.manual_seed(7)
        if __name__ == "__main__":
            raise SystemExit("trains for days")
    """
    folder = write(tmp_path, {"net.py": textwrap.dedent(changes) + NET + MAKE})
    before, random = Path.cwd(), torch.get_rng_state()
    assert units(f"{folder}/net.py:make") == 5
    assert (Path.cwd(), sys.argv, torch.is_grad_enabled()) == (before, ["app.py", "--model", "x"], True)
    assert torch.equal(random, torch.get_rng_state())
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "hello 1\n")
    assert os.environ


def test_settings_of_torch_and_of_warnings_are_put_back(tmp_path):
    changes = """
        import torch, warnings
        warnings.simplefilter("error")
        torch.set_default_dtype(torch.float64)
        torch.set_num_threads(torch.get_num_threads() + 1)
        torch.use_deterministic_algorithms(True)
        torch.set_default_device("meta")
    """
    folder = write(tmp_path, {"net.py": textwrap.dedent(changes) + NET + "OUT = 5\n" + MAKE})
    filters, threads = list(warnings.filters), torch.get_num_threads()
    with pytest.raises(ModelError, match="on the meta device"):
        lurk.load_model(f"{folder}/net.py:make")
    made = torch.zeros(1)
    assert (made.device.type, made.dtype) == ("cpu", torch.float32)
    assert (list(warnings.filters), torch.get_num_threads()) == (filters, threads)
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_command_line_that_is_needed_is_told_in_one_line(tmp_path, capsys):
    code = "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('--data', required=True)\n"
    at_import = write(tmp_path / "a", {"net.py": code + "parser.parse_args()\n" + NET + "OUT = 5\n" + MAKE})
    inside = write(
        tmp_path / "b", {"net.py": code + NET + "def make():\n    return Net(len(parser.parse_args().data))\n"}
    )
    for folder in (at_import, inside):
        with pytest.raises(
            ModelError, match=r"the following arguments are required: --data \(net\.py line \d+\)"
        ) as caught:
            lurk.load_model(f"{folder}/net.py:make")
        assert "\n" not in str(caught.value)
    assert "usage" not in capsys.readouterr().err


def test_a_package_that_fails_is_told_and_leaves_no_modules(tmp_path):
    folder = write(
        tmp_path, {"models/__init__.py": "", "models/net.py": "from .blocks import x\n", "models/blocks.py": "1 / 0\n"}
    )
    with pytest.raises(
        ModelError, match=r"cannot be imported: ZeroDivisionError: division by zero \(blocks\.py line 1\)"
    ):
        lurk.load_model(f"{folder}/models/net.py:make")
    with pytest.raises(ModelError, match="relative import"):
        lurk.load_model(f"{write(tmp_path, {'x.py': 'from ' + '.' * 40 + 'y import z'})}/x.py:make")
