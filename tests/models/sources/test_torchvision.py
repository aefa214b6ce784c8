import hashlib
import io
import re
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import torch
import torchvision

import lurk
from lurk.errors import ModelError, WeightsError
from lurk.models.sources import torchvision as source


@pytest.fixture(autouse=True)
def hub(tmp_path, monkeypatch) -> Path:
    """torch's own cache in an empty folder, and no network."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))

    def refuse(url, timeout):
        raise urllib.error.URLError("no network in tests")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    return tmp_path / "hub" / "checkpoints"


def put(hub: Path, name: str, weights: str = "DEFAULT", **options) -> torch.nn.Module:
    """Put a file of made weights where torch keeps the real ones."""
    hub.mkdir(parents=True, exist_ok=True)
    module = torchvision.models.get_model(name, weights=None, **options)
    url = torchvision.models.get_model_weights(name)[weights].url
    torch.save(module.state_dict(), hub / Path(url).name)
    return module


def test_every_classification_network_is_known():
    assert {"resnet18", "vgg16", "vit_b_16", "swin_t", "convnext_tiny", "googlenet"} <= source.known()
    assert not {"fcn_resnet50", "raft_large", "s3d"} & source.known()


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1", "mobilenet_v3_small", "inception_v3"])
def test_preprocessing_and_classes_are_its_own_even_untrained(name):
    model = lurk.load_model(name, weights="random")
    meta = torchvision.models.get_model_weights(name).DEFAULT
    preset = meta.transforms()
    side = preset.crop_size[0]
    assert model.input_shape == (3, side, side)
    assert (model.mean, model.std) == (tuple(preset.mean), tuple(preset.std))
    assert model.preprocess.resize == preset.resize_size[0]
    assert model.classes == tuple(meta.meta["categories"])
    assert (model.weights, model.module.training) == ("untrained", False)


def test_random_weights_are_the_same_each_time_and_leave_the_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, second = (lurk.load_model("resnet18", weights="random") for _ in range(2))
    assert first.weight_hash == second.weight_hash
    assert torch.equal(torch.rand(3), expected)


def test_without_a_network_it_is_untrained_and_says_so():
    began = time.monotonic()
    model = lurk.load_model("squeezenet1_1")
    assert time.monotonic() - began < 10
    assert model.weights == "untrained"
    assert "untrained" in model.notice
    assert "no network in tests" in model.notice
    assert "\n" not in model.notice


@pytest.mark.parametrize(
    "weights", ["DEFAULT", "IMAGENET1K_V1", "SqueezeNet1_1_Weights.IMAGENET1K_V1", "imagenet1k_v1"]
)
def test_weights_asked_for_by_name_are_strict(weights):
    with pytest.raises(WeightsError, match="cannot be fetched") as caught:
        lurk.load_model("squeezenet1_1", weights=weights)
    assert "\n" not in str(caught.value)


def test_unknown_weights_list_the_good_ones():
    for wanted in ("IMAGENET1K_V7", "ResNet50_Weights.IMAGENET1K_V1"):
        with pytest.raises(WeightsError, match="IMAGENET1K_V1, DEFAULT, random"):
            lurk.load_model("resnet18", weights=wanted)


def test_weights_in_torchs_cache_are_used(hub):
    expected = put(hub, "squeezenet1_1").state_dict()
    for weights in (None, "DEFAULT", "IMAGENET1K_V1"):
        model = lurk.load_model("squeezenet1_1", weights=weights)
        assert (model.weights, model.notice) == ("pretrained", "")
        assert all(torch.equal(value, expected[name]) for name, value in model.module.state_dict().items())


def test_auxiliary_classifiers_in_a_file_are_left_out(hub):
    expected = put(hub, "googlenet", init_weights=False, aux_logits=True)
    model = lurk.load_model("googlenet", weights="DEFAULT")
    assert model.module.transform_input
    assert not any(name.startswith("aux") and value is not None for name, value in model.module.state_dict().items())
    x = torch.rand(2, 3, 224, 224)
    expected.transform_input = True
    with torch.inference_mode():
        assert torch.allclose(model.module(x), expected.eval()(x), atol=1e-5)


def test_old_names_of_a_densenet_are_understood(hub, tmp_path):
    module = put(hub, "densenet121")
    old = {
        re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", name): value
        for name, value in module.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    assert any("denselayer1.norm.1.weight" in name for name in old)
    torch.save(old, tmp_path / "old.pth")
    model = lurk.load_model("densenet121", weights=str(tmp_path / "old.pth"))
    assert torch.equal(
        model.module.features.denseblock1.denselayer1.norm1.weight, module.features.denseblock1.denselayer1.norm1.weight
    )


def test_what_is_fetched_is_checked_and_kept(hub, monkeypatch, tmp_path):
    torch.save(torchvision.models.squeezenet1_1().state_dict(), tmp_path / "made.pth")
    content = (tmp_path / "made.pth").read_bytes()
    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: io.BytesIO(content))
    with pytest.raises(WeightsError, match="SHA-256"):
        lurk.load_model("squeezenet1_1", weights="DEFAULT")
    assert list(hub.iterdir()) == []
    from lurk.models.weights.download import fetch

    name = f"made-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    fetch(f"https://example.org/{name}", hub / name)
    assert (hub / name).read_bytes() == content
    assert len(list(hub.iterdir())) == 1


def test_a_server_that_does_not_answer_is_given_up(monkeypatch, tmp_path):
    from lurk.models.weights import download

    monkeypatch.setattr(download, "CONNECT_S", 0.2)
    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: time.sleep(5))
    began = time.monotonic()
    with pytest.raises(WeightsError, match="no answer"):
        download.fetch("https://example.org/a.pth", tmp_path / "a.pth")
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    ("name", "hint"), [("resnet81", "resnet18"), ("efficientnet_lite1", "efficientnet_lite0"), ("?", "known are")]
)
def test_an_unknown_name_has_a_hint(name, hint):
    with pytest.raises(ModelError, match=hint) as caught:
        lurk.load_model(name)
    assert "\n" not in str(caught.value)
