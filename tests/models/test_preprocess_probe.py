import random

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision import transforms
from torchvision.transforms import v2

import lurk
from lurk.errors import ModelError
from lurk.models.preprocess import Preprocess
from lurk.models.preprocess_probe import assume, examine

MEAN, STD = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
SIZED = [transforms.Resize((20, 30)), transforms.ToTensor()]


def conv(channels: int = 3) -> nn.Module:
    return nn.Sequential(nn.Conv2d(channels, 4, 3), nn.ReLU())


def by_hand(image: Image.Image) -> torch.Tensor:
    samples = np.asarray(image.resize((30, 20)), np.float32) / 255
    return torch.from_numpy((samples - np.float32(MEAN)) / np.float32(STD)).permute(2, 0, 1)


@pytest.mark.parametrize(
    "transform",
    [
        transforms.Compose([*SIZED, transforms.Normalize(MEAN, STD)]),
        transforms.Compose([transforms.Compose(SIZED), transforms.Compose([transforms.Normalize(MEAN, STD)])]),
        v2.Compose(
            [
                v2.ToImage(),
                v2.Resize((20, 30), antialias=True),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize(list(MEAN), list(STD)),
            ]
        ),
        by_hand,
        Preprocess(30, (20, 30), mean=MEAN, std=STD),
    ],
)
def test_shape_mean_and_deviation_are_found(transform):
    seen = examine(transform, None, 3)
    assert seen.shape == (3, 20, 30)
    assert (seen.normalisation.mean, seen.normalisation.std) == (MEAN, STD)
    assert seen.notice == ""


def test_what_cannot_be_undone_is_said_with_the_range_that_is_shown():
    seen = examine(lambda image: by_hand(image) ** 2, None, 3)
    assert seen.notice.startswith("the preprocessing cannot be undone: it is no fixed mix of red, green and blue;")
    assert "drawn as black to white" in seen.notice


def test_trying_draws_no_global_random_numbers():
    def draw() -> list[float]:
        return [random.random(), float(np.random.rand()), float(torch.rand(1))]

    def seed() -> None:
        random.seed(1)
        np.random.seed(1)
        torch.manual_seed(1)

    def noisy(image: Image.Image) -> torch.Tensor:
        return by_hand(image) * (torch.rand(1) + random.random() + np.random.rand())

    seed()
    expected = draw()
    seed()
    first = examine(noisy, None, 3)
    assert draw() == expected
    assert examine(noisy, None, 3) == first


def test_a_description_is_the_same_for_the_same_and_another_for_another():
    def described(level: float) -> str:
        return examine(lambda image: by_hand(image) * level, None, 3).description

    assert described(1) == described(1)
    assert described(1) != described(2)


def test_a_random_preprocessing_is_named():
    seen = examine(lambda image: by_hand(image) + torch.rand(1), None, 3)
    assert "random" in seen.notice
    assert "random" not in examine(by_hand, None, 3).notice
    own = random.Random(4)
    seen = examine(lambda image: by_hand(image).flip(2) if own.random() < 0.5 else by_hand(image), None, 3)
    assert "random" in seen.notice


def test_a_network_of_one_channel_gets_grey():
    steps = transforms.Compose([*SIZED, transforms.Normalize((0.5,), (0.5,))])
    model = lurk.load_model(conv(1), preprocess=steps)
    assert model.input_shape == (1, 20, 30)
    red = model.preprocess(Image.new("RGB", (40, 40), (255, 0, 0)))
    assert red.unique().tolist() == pytest.approx([(76 / 255 - 0.5) / 0.5])
    grey = transforms.Compose([transforms.Grayscale(), *SIZED])
    assert lurk.load_model(conv(1), preprocess=grey).preprocess is grey


@pytest.mark.parametrize(
    ("transform", "reason"),
    [
        (lambda image: 1 / 0, "ZeroDivisionError"),
        (lambda image: image, "Image"),
        (lambda image: np.zeros((3, 4, 4)), "ndarray"),
        (lambda image: torch.zeros(1, 3, 4, 4), r"1, 3, 4, 4\); end it with \[0\]"),
        (lambda image: torch.zeros(2, 3, 4, 4), r"2, 3, 4, 4\)$"),
        (lambda image: {"pixel_values": torch.zeros(3, 4, 4)}, "not dict; take the tensor out of it"),
        (lambda image: [torch.zeros(3, 4, 4)], "not list; take the tensor out of it"),
        (lambda image: by_hand(image).permute(1, 2, 0), r"not \(20, 30, 3\); end it with \.permute\(2, 0, 1\)"),
        (lambda image: by_hand(image) * 1j, "real numbers, not torch.complex64"),
        (lambda image: torch.from_numpy(image.transpose(2, 0, 1)), "fails on a PIL picture: TypeError"),
        (lambda image: torch.zeros(3, 0, 4), "3, 0, 4"),
        (transforms.ToTensor(), "different shapes"),
        ("resize", "function"),
    ],
)
def test_a_preprocessing_that_does_not_work_is_told_in_one_line(transform, reason):
    with pytest.raises(ModelError, match=reason) as caught:
        lurk.load_model(conv(), preprocess=transform)
    assert "\n" not in str(caught.value)


def test_an_input_shape_makes_up_for_a_missing_resize_and_must_agree():
    model = lurk.load_model(conv(), preprocess=transforms.ToTensor(), input_shape=(3, 32, 48))
    assert model.input_shape == (3, 32, 48)
    for shape in ([3, 32, 48], tuple(np.array([3, 32, 48]))):
        assert lurk.load_model(conv(), preprocess=transforms.ToTensor(), input_shape=shape).input_shape == (3, 32, 48)
    with pytest.raises(ModelError, match="three whole numbers"):
        lurk.load_model(conv(), input_shape=224)
    with pytest.raises(ModelError, match="input_shape says"):
        lurk.load_model(conv(), preprocess=by_hand, input_shape=(3, 32, 48))
    with pytest.raises(ModelError, match="three whole numbers"):
        lurk.load_model(conv(), input_shape=(3, 32))


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (conv(3), (3, 224, 224)),
        (conv(1), (1, 224, 224)),
        (nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), (1, 28, 28)),
        (nn.Sequential(nn.Flatten(), nn.Linear(3072, 10)), (3, 32, 32)),
        (nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(2 * 30 * 30, 5)), (3, 32, 32)),
        (nn.Sequential(nn.Conv2d(1, 2, 5), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2 * 24 * 24, 5)), (1, 28, 28)),
    ],
)
def test_the_usual_preprocessing_is_assumed_and_said(module, shape):
    state = {name: value.clone() for name, value in module.state_dict().items()}
    model = lurk.load_model(module)
    assert model.input_shape == shape
    assert "assumed" in model.notice
    assert model.preprocess(Image.new("RGB", (300, 200))).shape == shape
    assert module.training
    assert all(torch.equal(value, state[name]) for name, value in module.state_dict().items())


def test_a_network_that_fails_alike_at_every_size_is_not_asked_for_its_preprocessing():
    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("no driver")

    with pytest.raises(ModelError, match=r"^the model fails on an image of any usual size: no driver$"):
        lurk.load_model(Broken())


def test_an_odd_network_asks_for_its_preprocessing():
    with pytest.raises(ModelError, match="5 channels"):
        assume(conv(5), (5, 8, 8))
    with pytest.raises(ModelError, match="5 channels"):
        lurk.load_model(conv(5))
    with pytest.raises(ModelError, match="preprocess="):
        lurk.load_model(nn.Sequential(nn.Flatten(), nn.Linear(17, 2)))
