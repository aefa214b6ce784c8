import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import lurk
from lurk.errors import ModelError, WeightsError


def saved(folder: Path, names: dict[int, str]):
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    torch.manual_seed(5)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
    config = ViTConfig(image_size=32, patch_size=8, id2label=names, label2id={v: k for k, v in names.items()}, **sizes)
    module = ViTForImageClassification(config).eval()
    module.save_pretrained(folder)
    processor = ViTImageProcessor(
        size={"height": 32, "width": 32}, image_mean=[0.4, 0.5, 0.6], image_std=[0.2, 0.3, 0.4]
    )
    processor.save_pretrained(folder)
    return module, processor


def test_a_folder_without_a_config_is_refused():
    with pytest.raises(ModelError, match=r"'nowhere' is no folder with a config.json; .* nothing is downloaded$"):
        lurk.load_model("hf/nowhere")


def test_a_missing_package_is_told_in_one_line(monkeypatch, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ModelError, match=r"needs the package transformers .*pip install transformers$"):
        lurk.load_model(f"hf/{tmp_path}")


@pytest.mark.slow
def test_a_saved_classifier_gives_what_transformers_gives(tmp_path):
    names = {
        0: "cat",
        1: "dog",
        2: "eel",
        3: "fox",
        4: "gnu",
        5: "hen",
        6: "ibis",
        7: "jay",
        8: "kiwi",
        9: "lynx",
        10: "mole",
    }
    expected, processor = saved(tmp_path, names)
    model = lurk.load_model(f"hf/{tmp_path}")
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8))
    image = processor(images=picture, return_tensors="pt")["pixel_values"]
    assert torch.equal(model.preprocess(picture), image[0])
    with torch.no_grad():
        assert torch.equal(model.module(image).logits, expected(image).logits)
    assert model.classes == tuple(names[number] for number in range(11))
    assert (model.weights, model.notice, model.input_shape) == ("pretrained", "", (3, 32, 32))
    found = lurk.attribute(model, picture, model.layers[-1].name, 3, method="gradient", target="class", label=3)
    image.requires_grad_()
    (gradient,) = torch.autograd.grad(expected(image).logits[0, 3], image)
    assert np.allclose(found, gradient[0].numpy(), rtol=1e-3, atol=1e-6)


@pytest.mark.slow
def test_weights_that_transformers_would_make_up_are_refused(tmp_path):
    from safetensors.torch import load_file, save_file

    module, _ = saved(tmp_path, {0: "LABEL_0", 1: "LABEL_1"})
    torch.save(module.state_dict(), tmp_path / "own.pth")
    assert lurk.load_model(f"hf/{tmp_path}").classes is None
    weights = load_file(tmp_path / "model.safetensors")
    del weights["classifier.weight"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        WeightsError, match=r"lacks weights that fit classifier.weight; transformers would make them up"
    ):
        lurk.load_model(f"hf/{tmp_path}")
    assert lurk.load_model(f"hf/{tmp_path}", weights=str(tmp_path / "own.pth")).weights == "own.pth"
    assert "as asked for" in lurk.load_model(f"hf/{tmp_path}", weights="random").notice


@pytest.mark.slow
def test_code_in_the_folder_does_not_run(tmp_path):
    saved(tmp_path, {0: "a", 1: "b"})
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.C", "AutoModelForImageClassification": "own.M"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nC = M = None\n")
    with pytest.raises(ModelError, match="transformers cannot build an image classifier"):
        lurk.load_model(f"hf/{tmp_path}")
    assert not (tmp_path / "ran").exists()
