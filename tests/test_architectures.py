import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import lurk
from benchmarks.architectures.__main__ import checked
from benchmarks.architectures.case import Case, Fault
from benchmarks.architectures.checks import CHECKS
from benchmarks.architectures.networks import NETWORKS
from lurk.graph.layout.activation_layout import Layout

ROOT = Path(__file__).parents[1]
FAST = ("tokens, one extra", "4 channels", "reused modules")
TINY = [*FAST, "tokens, none extra", "U-Net", "1 channels", "half precision", "untraceable", "weight norm", "no_grad"]


def test_the_matrix_has_sixty_networks():
    assert len(NETWORKS) >= 60
    assert sum(name.startswith("timm") for name in NETWORKS) >= 20


@pytest.mark.parametrize("name", FAST)
def test_layers_fields_and_top_lists_are_those_of_the_references(name):
    row = checked(name, ("layers", "shapes", "fields", "positions", "sweep", "units", "restored"))
    assert {title for title, cell in row.items() if not cell.startswith("ok")} == set()
    assert not row["sweep"].startswith("ok (0 layers")


@pytest.mark.slow
@pytest.mark.parametrize("name", TINY)
def test_no_cell_of_a_tiny_network_is_a_fault(name):
    row = checked(name)
    assert set(row) == {"load", *CHECKS}
    assert [cell for cell in row.values() if cell.startswith("FAULT")] == []


def wrong_value(case):
    layer = case.model.layers[0].name
    run = case.readings[1]
    run[layer] = replace(run[layer], own=run[layer].own + 1, value=run[layer].value + 1)


def wrong_flag(case):
    case.given.requires_grad_(False)


def wrong_random_numbers(case):
    torch.rand(1)


def wrong_state(case):
    for run in case.readings:
        reading = run["0.0"]
        run["0.0"] = replace(reading, value=reading.value * 0)


SPOILT = {
    "sweep": wrong_value,
    "restored": wrong_flag,
    "restored ": wrong_random_numbers,
    "units": wrong_state,
}


@pytest.mark.parametrize("check", SPOILT)
def test_what_is_wrong_is_a_fault(check, tmp_path):
    torch.manual_seed(0)
    sample = NETWORKS["1 channels"]
    case = Case(sample, sample.make(), tmp_path)
    CHECKS[check.strip()](case)
    SPOILT[check](case)
    with pytest.raises(Fault):
        CHECKS[check.strip()](case)


def test_a_blank_map_without_a_reason_and_a_grid_that_is_turned_are_faults(monkeypatch, tmp_path):
    sample = NETWORKS["tokens, one extra"]
    torch.manual_seed(0)
    case = Case(sample, sample.make(), tmp_path)
    CHECKS["positions"](case)
    monkeypatch.setattr(Layout, "arranged", lambda *given, plain=Layout.arranged: plain(*given).flip(2))
    with pytest.raises(Fault, match="the upper right reads around"):
        CHECKS["positions"](case)
    monkeypatch.undo()
    monkeypatch.setattr(lurk, "attribute", lambda *_, **__: np.zeros((3, 64, 64), np.float32))
    with pytest.raises(Fault, match="zero everywhere, and no reason is given"):
        CHECKS["maps"](case)


@pytest.mark.slow
def test_one_command_prints_the_table_and_goes_on_from_its_file(tmp_path):
    command = [sys.executable, "-m", "benchmarks.architectures", "--only", "^(TorchScript|2 channels)$"]
    done = subprocess.run(
        [*command, "--json", tmp_path / "m.json"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "| TorchScript | ok | " in done.stdout
    assert "2 networks, 0 faults, " in done.stdout
    command += ["--json", tmp_path / "m.json", "--seconds", "0"]
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert again.stdout == done.stdout
