import warnings

import pytest
import torch

import lurk
from lurk.cli import main
from lurk.errors import ModelError, WeightsError
from tests.models.programs.made import SHAPE, Small, exported, made, scripted


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("programs")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scripted(made(Small)).save(folder / "scripted.pt")
        torch.export.save(exported(made(Small)), folder / "exported.pt2")
    return folder


def test_a_file_is_a_model_with_the_file_as_its_weights(files):
    model = lurk.load_model(files / "exported.pt2")
    assert (model.name, model.weights, model.input_shape) == ("exported", "exported.pt2", SHAPE)
    assert model.weight_hash == model.file_hash
    assert model.source == f"exported.pt2#{model.file_hash[:8]}"
    assert model.layers == lurk.load_model(made(Small), input_shape=SHAPE).layers


def test_a_missing_file_and_weights_beside_it_are_told(files):
    with pytest.raises(ModelError, match=r"^--model 'no/net.ts': there is no file 'no/net.ts'$"):
        lurk.load_model("no/net.ts")
    with pytest.raises(WeightsError, match="exported.pt2 holds its own weights; leave --weights out"):
        lurk.load_model(files / "exported.pt2", weights="random")


def test_the_file_is_named_in_an_error(tmp_path):
    torch.save({}, tmp_path / "net.pt")
    with pytest.raises(ModelError, match=r"^--model '.*net\.pt': it holds weights alone, not a network: a file of"):
        lurk.load_model(tmp_path / "net.pt")
