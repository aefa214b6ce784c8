import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision import transforms

import lurk
from lurk.errors import ImagesError
from lurk.images.load_images import load_images
from lurk.models.preprocess import Preprocess
from lurk.sweeps import prepared_images
from lurk.sweeps.image_store import ImageStore
from lurk.sweeps.prepared_images import PreparedImages

TORCHVISION = transforms.Compose(
    [
        transforms.Resize(20),
        transforms.CenterCrop(16),
        transforms.ToTensor(),
        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ]
)


def to_grey(picture):
    samples = np.array(picture.convert("L").resize((16, 16)), np.float32)[None] / 255
    return (torch.from_numpy(samples) - 0.1307) / 0.3081


def to_deep(picture):
    """Resized after it was made a tensor, so that samples are no whole 8-bit levels."""
    return transforms.functional.resize(transforms.functional.to_tensor(picture), [16, 16], antialias=True)


def loaded(preprocess):
    channels = 1 if preprocess is to_grey else 3
    return lurk.load_model(nn.Conv2d(channels, 2, 3), preprocess=preprocess, name="net")


@pytest.fixture
def folder(tmp_path):
    generator = np.random.default_rng(0)
    for number in range(3):
        pixels = generator.integers(0, 256, (30, 24 + number, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    return tmp_path


@pytest.fixture
def store(tmp_path_factory):
    return ImageStore(tmp_path_factory.mktemp("store"), 1 << 20)


def forbid(images):
    """The same images, which can no longer be read."""

    class Reader(type(images.reader)):
        def __call__(self, place):
            raise ImagesError("read again")

    return replace(images, reader=Reader(images.root, images.paths))


@pytest.mark.parametrize(
    "preprocess", [Preprocess(20, (16, 16)), Preprocess(18, (16, 16), "bicubic", (0.5,) * 3, (0.25,) * 3), TORCHVISION]
)
def test_an_image_from_the_store_is_the_same_to_the_last_bit(folder, store, preprocess):
    model, images = loaded(preprocess), load_images(folder)
    expected = [preprocess(images.read(number)) for number in range(3)]
    first = [PreparedImages(model, images, store).read(number) for number in range(3)]
    again = [PreparedImages(model, forbid(images), store).read(number) for number in range(3)]
    for one, other, another in zip(expected, first, again, strict=True):
        assert one.numpy().tobytes() == other.numpy().tobytes() == another.contiguous().numpy().tobytes()


def test_an_image_of_one_channel_is_kept_too(folder, store):
    model, images = loaded(to_grey), load_images(folder)
    first = PreparedImages(model, images, store).read(0)
    assert torch.equal(PreparedImages(model, forbid(images), store).read(0), first)


def test_a_second_model_with_the_same_preprocessing_does_not_read_again(folder, store):
    images = load_images(folder)
    PreparedImages(loaded(Preprocess(20, (16, 16))), images, store).read(1)
    PreparedImages(loaded(Preprocess(20, (16, 16))), forbid(images), store).read(1)


@pytest.mark.parametrize("other", [Preprocess(20, (16, 16), "bicubic"), Preprocess(21, (16, 16)), TORCHVISION])
def test_another_preprocessing_has_images_of_its_own(folder, store, other):
    images = load_images(folder)
    PreparedImages(loaded(Preprocess(20, (16, 16))), images, store).read(1)
    with pytest.raises(ImagesError, match="read again"):
        PreparedImages(loaded(other), forbid(images), store).read(1)


def test_a_file_that_changes_is_read_again(folder, store):
    model = loaded(Preprocess(20, (16, 16)))
    PreparedImages(model, load_images(folder), store).read(0)
    Image.new("RGB", (30, 24), "red").save(folder / "0.png")
    os.utime(folder / "0.png", (1, 1))
    found = PreparedImages(model, load_images(folder), store).read(0)
    assert torch.equal(found, model.preprocess(Image.new("RGB", (30, 24), "red")))


def test_a_file_that_changed_after_it_was_listed_is_not_kept(folder, store):
    model, images = loaded(Preprocess(20, (16, 16))), load_images(folder)
    os.utime(folder / "0.png", (1, 1))
    PreparedImages(model, images, store).read(0)
    with pytest.raises(ImagesError, match="read again"):
        PreparedImages(model, forbid(images), store).read(0)


def test_other_versions_of_the_packages_read_again(folder, store, monkeypatch):
    model, images = loaded(Preprocess(20, (16, 16))), load_images(folder)
    PreparedImages(model, images, store).read(0)
    monkeypatch.setattr(prepared_images, "software", lambda: (("pillow", "0"),))
    with pytest.raises(ImagesError, match="read again"):
        PreparedImages(model, forbid(images), store).read(0)


def test_what_is_no_whole_8_bit_level_is_not_kept(folder, store):
    model, images = loaded(to_deep), load_images(folder)
    assert torch.equal(PreparedImages(model, images, store).read(0), to_deep(images.read(0)))
    with pytest.raises(ImagesError, match="read again"):
        PreparedImages(model, forbid(images), store).read(0)


def test_a_random_preprocessing_is_asked_each_time(folder, store):
    model = loaded(transforms.Compose([transforms.RandomCrop(16), transforms.ToTensor()]))
    assert "random" in model.notice
    images = load_images(folder)
    PreparedImages(model, images, store).read(0)
    with pytest.raises(ImagesError, match="read again"):
        PreparedImages(model, forbid(images), store).read(0)


def test_a_damaged_image_is_read_again(folder, store):
    model, images = loaded(Preprocess(20, (16, 16))), load_images(folder)
    first = PreparedImages(model, images, store).read(0)
    for file in store._folder.glob("*/*"):
        file.write_bytes(file.read_bytes()[:-1] + b"?")
    assert torch.equal(PreparedImages(model, images, store).read(0), first)


def test_a_data_set_without_files_is_not_kept(store):
    pictures = [(Image.new("RGB", (20, 20), colour), 0) for colour in ("red", "blue")]
    model, images = loaded(Preprocess(20, (16, 16))), load_images(pictures)
    PreparedImages(model, images, store).read(0)
    assert not list(store._folder.glob("*/*"))


def test_without_a_store_each_image_is_read(folder):
    model, images = loaded(Preprocess(20, (16, 16))), load_images(folder)
    PreparedImages(model, images).read(0)
    with pytest.raises(ImagesError, match="read again"):
        PreparedImages(model, forbid(images)).read(0)
