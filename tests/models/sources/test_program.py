import warnings

import numpy as np
import pytest
import torch
from PIL import Image

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
    with pytest.raises(WeightsError, match=r"exported\.pt2 holds its own weights; leave --weights out"):
        lurk.load_model(files / "exported.pt2", weights="random")


def test_a_sweep_of_a_file_is_that_of_the_original(files, tmp_path):
    for number in range(6):
        noise = np.random.default_rng(number).integers(0, 256, (20, 20, 3), dtype=np.uint8)
        (tmp_path / "images" / f"class{number % 2}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise).save(tmp_path / "images" / f"class{number % 2}" / f"{number}.png")
    own = lurk.load_model(made(Small), input_shape=SHAPE)
    expected = lurk.sweep(own, tmp_path / "images", cache=tmp_path / "cache", device="cpu")
    more = ["--data", str(tmp_path / "images"), "--cache", str(tmp_path / "cache"), "--device", "cpu"]
    assert main(["sweep", "--model", str(files / "exported.pt2"), *more]) == 0
    found = lurk.sweep(
        lurk.load_model(files / "exported.pt2"), tmp_path / "images", cache=tmp_path / "cache", device="cpu"
    )
    assert found.layers == expected.layers
    for layer in expected.layers:
        for unit in range(layer.units):
            one, two = expected.unit(layer.name, unit), found.unit(layer.name, unit)
            places = [[(hit.image, hit.box) for hit in each.hits_max] for each in (one, two)]
            scores = [[hit.score for hit in each.hits_max] for each in (one, two)]
            assert places[0] == places[1]
            np.testing.assert_allclose(*scores, rtol=1e-5, atol=1e-6)  # modules' norms are folded, a program's are not
            np.testing.assert_allclose(one.class_mean, two.class_mean, rtol=1e-5, atol=1e-6)


def test_the_file_is_named_in_an_error(tmp_path):
    torch.save({}, tmp_path / "net.pt")
    with pytest.raises(ModelError, match=r"^--model '.*net\.pt': it holds weights alone, not a network: a file of"):
        lurk.load_model(tmp_path / "net.pt")
