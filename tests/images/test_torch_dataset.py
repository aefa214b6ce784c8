import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Subset, TensorDataset
from torchvision.datasets import FakeData, ImageFolder
from torchvision.transforms import ToTensor

import lurk
from lurk.errors import ImagesError
from lurk.images.load_images import load_images
from lurk.images.sources.torchvision_dataset import OPTIONS


class Items:
    def __init__(self, items, **attributes):
        self.items = items
        self.__dict__.update(attributes)

    def __len__(self):
        return len(self.items)

    def __getitem__(self, number):
        item = self.items[number]
        if isinstance(item, Exception):
            raise item
        return item


@pytest.fixture
def folder(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for number in range(2):
            Image.new("RGB", (4, 4), (number, 9, 9)).save(tmp_path / name / f"{number}.png")
    return tmp_path


def test_an_image_folder_keeps_paths_labels_and_classes(folder):
    images, plain = load_images(ImageFolder(folder)), load_images(folder)
    assert (images.paths, images.labels, images.classes) == (plain.paths, plain.labels, plain.classes)
    assert images.read(1).tobytes() == plain.read(1).tobytes()


def test_what_a_data_set_has_preprocessed_stays_a_tensor(folder):
    tensor = load_images(ImageFolder(folder, transform=ToTensor())).read(0)
    assert isinstance(tensor, torch.Tensor)
    assert tensor.shape == (3, 4, 4)


def test_the_fingerprint_tells_transforms_and_content_apart(folder):
    plain = load_images(ImageFolder(folder)).fingerprint
    assert load_images(ImageFolder(folder)).fingerprint == plain
    assert load_images(ImageFolder(folder, transform=ToTensor())).fingerprint != plain
    x = torch.rand(6, 3, 4, 4)
    first = load_images(TensorDataset(x, torch.arange(6))).fingerprint
    assert load_images(TensorDataset(x.clone(), torch.arange(6))).fingerprint == first
    assert load_images(TensorDataset(x + 1, torch.arange(6))).fingerprint != first
    assert load_images(TensorDataset(x, torch.arange(6).flip(0))).fingerprint != first


def test_tensors_are_labelled_by_their_items():
    images = load_images(TensorDataset(torch.rand(12, 3, 4, 4), torch.arange(12) % 3))
    assert images.labels == tuple(n % 3 for n in range(12))
    assert images.classes == ("0", "1", "2")
    assert images.paths[:2] == ("00", "01")


def test_a_subset_has_the_labels_of_its_part(folder):
    images = load_images(Subset(ImageFolder(folder), [3, 0]))
    assert (images.labels, images.classes) == ((1, 0), ("cat", "dog"))


def test_samples_of_8_bits_become_pictures():
    grey = np.arange(16, dtype=np.uint8).reshape(4, 4)
    images = load_images(
        Items([grey, torch.from_numpy(grey)[None], np.dstack([grey] * 3), {"image": grey, "label": 1}])
    )
    for number in range(4):
        assert np.array_equal(np.asarray(images.read(number))[:, :, 0], grey)
    assert images.labels == (None, None, None, 1)


def test_without_labels_there_are_no_classes():
    images = load_images(Items([Image.new("L", (4, 4))] * 3))
    assert (images.classes, images.labels) == (None, (None,) * 3)
    assert "no labels" in images.note


def test_an_item_that_fails_has_a_reason():
    images = load_images(Items([(Image.new("RGB", (4, 4)), 0), ValueError("torn"), ("no picture", 1)]))
    assert images.labels == (0, None, 1)
    for number, reason in ((1, "torn"), (2, "no picture")):
        with pytest.raises(ImagesError, match=reason):
            images.read(number)


@pytest.mark.parametrize("source", [42, {}, [], None, iter([])])
def test_what_is_no_data_set_is_refused(source):
    with pytest.raises(ImagesError):
        load_images(source)


def test_a_torchvision_data_set_by_name(monkeypatch):
    monkeypatch.setitem(OPTIONS, "FakeData", {"size": 100})
    images = load_images("FakeData", sample=1)
    assert images.name == "FakeData"
    assert len(images) == 10
    assert images.read(0).size == (224, 224)


def test_a_data_set_that_is_not_there_is_not_downloaded(tmp_path):
    with pytest.raises(ImagesError, match="nothing is downloaded") as caught:
        load_images(f"CIFAR10:{tmp_path}")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_the_public_function_is_this_one():
    assert lurk.load_images is load_images
    assert len(FakeData(3)) == 3


class Labelled:
    def __init__(self, labels, **more):
        self.labels_of_items = labels
        for name, value in more.items():
            setattr(self, name, value)

    def __len__(self):
        return len(self.labels_of_items)

    def __getitem__(self, number):
        return np.zeros((2, 2, 3), np.uint8), self.labels_of_items[number]


@pytest.mark.parametrize(
    ("labels", "more", "numbers", "names"),
    [
        (["dog", "cat"], {}, (1, 0), ("cat", "dog")),
        (["dog", "cat"], {"classes": ["dog", "cat", "cow"]}, (0, 1), ("dog", "cat", "cow")),
        ([1.0, 0.0], {}, (1, 0), ("0", "1")),
        ([np.float32(10), np.int64(2)], {"classes": list("abcdefghijk")}, (10, 2), tuple("abcdefghijk")),
        ([-1, 0, -100, 1], {}, (None, 0, None, 1), ("0", "1")),
        ([np.array([0, 0, 1]), np.array([1, 0, 0])], {}, (2, 0), ("0", "1", "2")),
        ([np.array([1, 0, 1]), np.array([1, 0, 0])], {}, (None, 0), ("0",)),
        ([1, 0], {"class_to_idx": {"dog": 1, "cat": 0}}, (1, 0), ("cat", "dog")),
        ([1, 0], {"classes": {1: "dog", 0: "cat"}}, (1, 0), ("cat", "dog")),
        ([3, 0], {"classes": ["cat", "dog"]}, (3, 0), ("0", "1", "2", "3")),
        ([1, 2], {"classes": ["1", "10", "2"]}, (1, 2), ("1", "10", "2")),
        (["2", "10"], {"classes": ["1", "10", "2"]}, (2, 1), ("1", "10", "2")),
        ([None, None], {}, (None, None), None),
        ([True, False], {}, (1, 0), ("0", "1")),
    ],
)
def test_labels_of_any_kind_are_classes(labels, more, numbers, names):
    images = load_images(Labelled(labels, **more))
    assert (images.labels, images.classes) == (numbers, names)
