import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.architecture_checks import CHECKS, Case, Fault, state_of
from benchmarks.architecture_networks import NETWORKS
from benchmarks.architectures import checked

ROOT = Path(__file__).parents[1]
FAST = ("tokens, one extra", "4 channels", "reused modules")
TINY = [*FAST, "tokens, none extra", "U-Net", "1 channels", "half precision", "untraceable", "weight norm", "no_grad"]


def test_the_matrix_has_sixty_networks():
    assert len(NETWORKS) >= 60
    assert sum(name.startswith("timm") for name in NETWORKS) >= 20


@pytest.mark.parametrize("name", FAST)
def test_layers_fields_and_top_lists_are_those_of_the_references(name):
    row = checked(name, ("layers", "shapes", "fields", "sweep", "restored"))
    assert {title for title, cell in row.items() if not cell.startswith("ok")} == set()
    assert "0 layers" not in row["sweep"]


@pytest.mark.slow
@pytest.mark.parametrize("name", TINY)
def test_no_cell_of_a_tiny_network_is_a_fault(name):
    row = checked(name)
    assert set(row) == {"load", *CHECKS}
    assert [cell for cell in row.values() if cell.startswith("FAULT")] == []


def wrong_value(case):
    layer = case.model.layers[0].name
    own, value = case.reference[1][layer]
    case.reference[1][layer] = (own + 1, value + 1)


def wrong_flag(case):
    case.module.requires_grad_(False)


@pytest.mark.parametrize(("check", "spoil"), [("sweep", wrong_value), ("restored", wrong_flag)])
def test_what_is_wrong_is_a_fault(check, spoil):
    torch.manual_seed(0)
    sample = NETWORKS["1 channels"]
    module = sample.make().eval()
    case = Case(sample, module, state_of(module))
    CHECKS[check](case)
    spoil(case)
    with pytest.raises(Fault):
        CHECKS[check](case)


@pytest.mark.slow
def test_one_command_prints_the_table_and_goes_on_from_its_file(tmp_path):
    command = [sys.executable, "-m", "benchmarks.architectures", "--only", "^(TorchScript|2 channels)$"]
    done = subprocess.run(
        [*command, "--json", tmp_path / "m.json"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "| TorchScript | refused: " in done.stdout
    assert "2 networks, 0 faults." in done.stdout
    command += ["--json", tmp_path / "m.json", "--seconds", "0"]
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert again.stdout == done.stdout
