import sys

import numpy as np
import pytest
import torch
from PIL import Image

import lurk
from lurk.errors import ModelError, WeightsError
from lurk.models.sources import timm as source

NAME = "test_resnet"  # timm's own smallest


@pytest.fixture(autouse=True)
def no_network(monkeypatch, tmp_path):
    def refuse(url):
        raise OSError("no network in tests")

    monkeypatch.setattr(source, "reach", refuse)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))


def test_a_missing_package_is_told_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ModelError, match=r"^--model timm/… needs the package timm .*pip install timm$"):
        lurk.load_model("timm/resnet18")


@pytest.mark.slow
def test_without_a_network_it_is_untrained_and_says_so():
    model = lurk.load_model(f"timm/{NAME}")
    assert model.weights == "untrained"
    assert "is untrained: the weights timm/" in model.notice
    assert "no network in tests" in model.notice
    with pytest.raises(WeightsError, match=r"^--weights DEFAULT: the weights .* cannot be fetched"):
        lurk.load_model(f"timm/{NAME}", weights="DEFAULT")
    with pytest.raises(WeightsError, match="--weights takes DEFAULT, random or a weights file"):
        lurk.load_model(f"timm/{NAME}", weights="IMAGENET1K_V1")
    with pytest.raises(ModelError, match="did you mean timm/"):
        lurk.load_model("timm/resnett18")


@pytest.mark.slow
def test_a_weights_file_gives_what_timm_gives(tmp_path):
    import timm

    torch.manual_seed(5)
    expected = timm.create_model(NAME, pretrained=False).eval()
    torch.save(expected.state_dict(), tmp_path / "own.pth")
    model = lurk.load_model(f"timm/{NAME}", weights=str(tmp_path / "own.pth"))
    config = timm.data.resolve_model_data_config(expected)
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (210, 260, 3), dtype=np.uint8))
    image = timm.data.create_transform(**config, is_training=False)(picture)
    assert torch.equal(model.preprocess(picture), image)
    with torch.no_grad():
        assert torch.equal(model.module(image[None]), expected(image[None]))
    assert (model.weights, model.notice) == ("own.pth", "")
    assert model.input_shape == config["input_size"]
    assert model.classes[0] == "tench"
