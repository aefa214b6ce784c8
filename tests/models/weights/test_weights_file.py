import json

import pytest
import torch
from torch import nn

from lurk.errors import WeightsError
from lurk.models.checkpoint import fill
from lurk.models.weights.weights_file import hash_file
from tests.models.checkpoints import Net, shards


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    (tmp_path / "folder.pth").mkdir()
    for name, reason in {
        "none.pth": "there is no file",
        "none.pth:ema": "there is no file",
        "folder.pth": "is a folder; name a file in it",
    }.items():
        with pytest.raises(WeightsError, match=reason):
            fill(nn.Linear(1, 1), f"{tmp_path}/{name}")


@pytest.mark.parametrize(
    ("index", "reason"),
    [
        ("{}", "is no index"),
        ("[1]", "is no index"),
        ("{", "is no index"),
        ('{"weight_map": {"a": "../b.pth"}}', "not beside it"),
        ('{"weight_map": {"a": "/etc/passwd"}}', "not beside it"),
        ('{"weight_map": {"a": 3}}', "not beside it"),
        ('{"weight_map": {"a": "a.index.json"}}', "names another index"),
        ('{"weight_map": {"a": "missing.bin"}}', "there is no file"),
    ],
)
def test_an_index_names_files_beside_it_only(tmp_path, index, reason):
    (tmp_path / "a.index.json").write_text(index)
    with pytest.raises(WeightsError, match=reason):
        fill(nn.Linear(1, 1), tmp_path / "a.index.json")


def test_the_hash_of_an_index_follows_its_files(tmp_path):
    index = tmp_path / "model.safetensors.index.json"
    shards(Net().state_dict(), index, "model")
    before = hash_file(index)
    shards({name: value + 1 for name, value in Net().state_dict().items()}, index, "model")
    assert json.loads(index.read_text())
    assert hash_file(index) != before


def test_a_file_without_its_last_part_is_told(tmp_path):
    index = tmp_path / "pytorch_model.bin.index.json"
    state = Net().state_dict()
    shards(state, index, "pytorch_model")
    torch.save({}, tmp_path / "pytorch_model-00002-of-00002.bin")
    with pytest.raises(WeightsError, match=r"lacks bn\.running_var"):
        fill(Net(), index)
