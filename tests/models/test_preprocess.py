import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from lurk.errors import ImagesError
from lurk.models.preprocess import Preprocess

SIZES = [(640, 480), (333, 500), (256, 256), (100, 70), (257, 511), (224, 224)]


def picture(width: int, height: int, mode: str = "RGB") -> Image.Image:
    samples = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(samples).convert(mode)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["ResNet18_Weights", "EfficientNet_B0_Weights", "Inception_V3_Weights"])
def test_it_is_bit_for_bit_torchvisions_preset(name, size):
    preset = getattr(torchvision.models, name).DEFAULT.transforms()
    crop = (preset.crop_size[0],) * 2
    own = Preprocess(preset.resize_size[0], crop, preset.interpolation.value, tuple(preset.mean), tuple(preset.std))
    assert torch.equal(own(picture(*size)), preset(picture(*size)))


def test_a_crop_larger_than_the_picture_is_padded_as_torchvision_does():
    own = Preprocess(100, (120, 140), "bilinear", (0.5,) * 3, (0.5,) * 3)
    steps = torchvision.transforms.Compose(
        [
            torchvision.transforms.Resize(100),
            torchvision.transforms.CenterCrop((120, 140)),
            torchvision.transforms.ToTensor(),
            torchvision.transforms.Normalize((0.5,) * 3, (0.5,) * 3),
        ]
    )
    assert torch.equal(own(picture(130, 170)), steps(picture(130, 170)))


def test_defaults_are_those_of_the_docstring():
    own = Preprocess()
    assert (own.resize, own.crop, own.interpolation, own.channels) == (256, (224, 224), "bilinear", 3)
    assert (own.mean, own.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def test_white_is_one_minus_mean_over_deviation():
    own = Preprocess(8, (8, 8), "bicubic", (0.25, 0.5, 0.75), (0.5, 0.25, 1.0))
    white = own(Image.new("RGB", (20, 10), (255, 255, 255)))
    assert white.dtype == torch.float32
    assert white[:, 3, 3].tolist() == [1.5, 2.0, 0.25]


def test_grey_has_one_channel():
    own = Preprocess(8, (6, 8), mean=(0.5,), std=(0.5,), channels=1)
    assert own(Image.new("RGB", (9, 9), (255, 255, 255))).shape == (1, 6, 8)
    assert own(Image.new("L", (9, 9), 255)).unique().tolist() == [1.0]


def test_a_picture_too_long_and_thin_is_a_bad_one_and_fills_no_memory():
    with pytest.raises(ImagesError, match="long and thin"):
        Preprocess()(Image.new("RGB", (100_000, 2)))


def test_the_description_determines_it():
    seen = {
        Preprocess().describe(),
        Preprocess(232).describe(),
        Preprocess(crop=(224, 225)).describe(),
        Preprocess(interpolation="bicubic").describe(),
        Preprocess(mean=(0.5,) * 3).describe(),
        Preprocess(std=(0.5,) * 3).describe(),
        Preprocess(mean=(0.5,), std=(0.5,), channels=1).describe(),
    }
    assert len(seen) == 7


@pytest.mark.parametrize(
    "wrong", [{"interpolation": "best"}, {"channels": 2}, {"mean": (0.5,)}, {"resize": 0}, {"std": (1, 0, 1)}]
)
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match=r"interpolation|channel|above"):
        Preprocess(**wrong)
