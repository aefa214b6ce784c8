"""What a sweep stores of each image: the picture that the network was shown, pixel by pixel."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision import transforms

import lurk
from lurk.images import image_files
from lurk.images.decoding import decode
from lurk.storage.webp import decode_view
from tests.index_equality import assert_identical

SIDE = 16
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
MEAN_255, STD_255 = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
SIZED = [transforms.Resize((SIDE, SIDE)), transforms.ToTensor()]
COLOUR = {
    "0 to 255": [lambda x: x * 255],
    "times 255 and normalised": [lambda x: x * 255, transforms.Normalize(MEAN_255, STD_255)],
    "normalised twice": [transforms.Normalize((0.5,) * 3, (0.5,) * 3), transforms.Normalize(MEAN, STD)],
    "BGR": [lambda x: x[[2, 1, 0]], transforms.Normalize(MEAN, STD)],
    "BGR last, in a chain": [transforms.Compose([transforms.Normalize(MEAN, STD), lambda x: x.flip(0)])],
    "BGR of 0 to 255 less a mean": [lambda x: x.flip(0) * 255 - torch.tensor([104.0, 117, 123]).view(3, 1, 1)],
    "inverted": [lambda x: 1 - x],
    "a constant channel more": [lambda x: torch.cat([x - 0.5, torch.full_like(x[:1], 9)])],
}
GREY = {
    "one channel": [transforms.Normalize((0.1307,), (0.3081,))],
    "three times the same": [lambda x: x.expand(3, SIDE, SIDE).clone(), transforms.Normalize(MEAN, STD)],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place, generator = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for number in range(4):
        Image.fromarray(generator.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)).save(place / f"{number}.png")
    return place


def swept(folder: Path, cache: Path, steps) -> lurk.Index:
    preprocess = transforms.Compose(steps)
    channels = preprocess(Image.new("RGB", (20, 20))).shape[0]
    model = lurk.load_model(nn.Sequential(nn.Conv2d(channels, 2, 3), nn.ReLU()), preprocess=preprocess)
    return lurk.sweep(model, lurk.load_images(folder), cache=cache)


def views(index: lurk.Index) -> list[np.ndarray]:
    channels = index.manifest.input_shape[0]
    return [decode_view(index.view_file(number).read_bytes(), channels) for number in range(4)]


@pytest.mark.parametrize("name", COLOUR)
def test_a_view_is_the_picture_to_the_last_bit(folder, tmp_path, name):
    index = swept(folder, tmp_path, [*SIZED, *COLOUR[name]])
    assert index.manifest.notice == ""
    for number, view in enumerate(views(index)):
        assert np.array_equal(view, np.asarray(Image.open(folder / f"{number}.png")))


@pytest.mark.parametrize("name", GREY)
def test_a_view_of_a_grey_network_is_the_grey_picture_to_the_last_bit(folder, tmp_path, name):
    index = swept(folder, tmp_path, [transforms.Grayscale(), *SIZED, *GREY[name]])
    for number, view in enumerate(views(index)):
        grey = np.asarray(Image.open(folder / f"{number}.png").convert("L"))
        assert np.array_equal(view, np.repeat(grey[:, :, None], view.shape[2], 2))


def test_what_has_no_inverse_is_shown_as_the_network_gets_it_and_that_is_said(folder, tmp_path):
    index = swept(folder, tmp_path, [*SIZED, lambda x: (x * 255 + 1).log()])
    assert "cannot be undone" in index.manifest.notice
    assert "0 to 5.55 drawn as black to white" in index.manifest.notice
    for number, view in enumerate(views(index)):
        samples = np.asarray(Image.open(folder / f"{number}.png"), np.float64)
        assert np.array_equal(view, np.rint(np.log(samples + 1) / np.log(256) * 255))


def test_each_file_is_decoded_once_and_with_a_store_never_again_by_another_model(folder, tmp_path, monkeypatch):
    decoded = []
    monkeypatch.setattr(image_files, "decode", lambda file, ranges: decoded.append(file.name) or decode(file, ranges))
    networks = [nn.Sequential(nn.Conv2d(3, 2, 3)), nn.Sequential(nn.Conv2d(3, 4, 5))]
    models = [lurk.load_model(network, preprocess=transforms.Compose(SIZED)) for network in networks]
    plain = [lurk.sweep(model, folder, cache=tmp_path / "plain") for model in models]
    assert sorted(decoded) == sorted([f"{number}.png" for number in range(4)] * 2)
    decoded.clear()
    with_store = [lurk.sweep(model, folder, cache=tmp_path / "kept", keep_images=1) for model in models]
    assert sorted(decoded) == [f"{number}.png" for number in range(4)]
    for one, other in zip(plain, with_store, strict=True):
        assert_identical(one, other)
        assert all(np.array_equal(*pair) for pair in zip(views(one), views(other), strict=True))
