"""Folders as other people lay them out: what is expected is written by hand."""

from dataclasses import dataclass

import pytest
from PIL import Image

from lurk.images.load_images import load_images


@dataclass(frozen=True)
class Layout:
    """Files, and the class of each that they are to give."""

    expected: dict[str, str | None]
    classes: tuple[str, ...] | None
    note: str
    empty: tuple[str, ...] = ()


NUMBERS = tuple(str(number) for number in range(1, 13))
LAYOUTS = {
    "a folder a class": Layout(
        {"cat/1.png": "cat", "dog/1.png": "dog"}, ("cat", "dog"), "as classes: 2 classes: cat, dog"
    ),
    "numbers from 1": Layout(
        {f"{number}/1.png": number for number in NUMBERS},
        NUMBERS,
        "in the order of their numbers: 12 classes, first three: 1, 2, 3",
    ),
    "numbers with and without zeros": Layout(
        {"10/1.png": "10", "09/1.png": "09", "2/1.png": "2"}, ("2", "09", "10"), "in the order of their numbers"
    ),
    "numbers before names": Layout(
        {"10_cat/1.png": "10_cat", "9_dog/1.png": "9_dog"}, ("9_dog", "10_cat"), "in the order of their numbers"
    ),
    "padded numbers before names": Layout(
        {"001.Albatross/1.png": "001.Albatross", "010.Wren/1.png": "010.Wren"},
        ("001.Albatross", "010.Wren"),
        "as classes",
    ),
    "numbers after names": Layout(
        {"class10/1.png": "class10", "class9/1.png": "class9"}, ("class9", "class10"), "in the order of their numbers"
    ),
    "WordNet ids": Layout(
        {"n01443537/1.png": "n01443537", "n01440764/1.png": "n01440764"}, ("n01440764", "n01443537"), "2 classes"
    ),
    "capitals first, as in ImageFolder": Layout(
        {"Zebra/1.png": "Zebra", "ant/1.png": "ant"}, ("Zebra", "ant"), "2 classes"
    ),
    "train and val": Layout(
        {"train/cat/1.png": "cat", "train/dog/1.png": "dog", "val/dog/1.png": "dog"},
        ("cat", "dog"),
        "the folders train, val are taken as parts of the set",
    ),
    "only train": Layout(
        {"train/cat/1.png": "cat", "train/dog/1.png": "dog"}, ("cat", "dog"), "the folders of 'train' as classes"
    ),
    "test without classes": Layout(
        {"train/cat/1.png": "cat", "train/dog/1.png": "dog", "test/1.png": None}, ("cat", "dog"), "1 image lies beside"
    ),
    "Tiny ImageNet": Layout(
        {
            "train/n01/images/1.png": "n01",
            "train/n02/images/1.png": "n02",
            "val/images/1.png": None,
            "test/images/1.png": None,
        },
        ("n01", "n02"),
        "test, train, val are taken as parts",
    ),
    "YOLO": Layout(
        {"train/images/1.png": None, "val/images/1.png": None},
        None,
        "train, val, are taken as parts of the set, so its images have no classes",
    ),
    "parts without classes": Layout({"train/1.png": None, "test/1.png": None}, None, "have no classes"),
    "images and masks": Layout(
        {"images/1.png": None, "masks/1.png": None}, None, "images, masks, are taken as kinds of files"
    ),
    "training_set and test_set": Layout(
        {"training_set/cats/1.png": "cats", "test_set/dogs/1.png": "dogs"}, ("cats", "dogs"), "parts of the set"
    ),
    "folds": Layout(
        {"fold1/cat/1.png": "cat", "fold2/dog/1.png": "dog"}, ("cat", "dog"), "fold1, fold2 are taken as parts"
    ),
    "ImageNet as it is unpacked": Layout(
        {"Data/CLS-LOC/train/n01/1.png": "n01", "Data/CLS-LOC/train/n02/1.png": "n02", "Data/CLS-LOC/val/1.png": None},
        ("n01", "n02"),
        "the folders of 'Data/CLS-LOC/train' as classes",
    ),
    "ages": Layout(
        {"0-9/1.png": "0-9", "100+/1.png": "100+", "20-29/1.png": "20-29"}, ("0-9", "20-29", "100+"), "3 classes: 0-9"
    ),
    "train as a vehicle": Layout(
        {"train/1.png": "train", "bus/1.png": "bus"}, ("bus", "train"), "2 classes: bus, train"
    ),
    "a folder in a folder": Layout(
        {"set/set/cat/1.png": "cat", "set/set/dog/1.png": "dog"}, ("cat", "dog"), "the folders of 'set/set' as classes"
    ),
    "one class": Layout({"cat/1.png": "cat", "cat/2.png": "cat"}, ("cat",), "1 class: cat"),
    "one class, deeper": Layout({"cat/2024/1.png": "cat"}, ("cat",), "as in 'cat/2024', belongs to them"),
    "one folder of images": Layout({"images/1.png": None}, None, "have no classes"),
    "flat": Layout({"1.png": None, "2.png": None}, None, "the folder has no sub-folders"),
    "folders below classes": Layout(
        {"cat/indoor/1.png": "cat", "cat/2.png": "cat", "dog/1.png": "dog"},
        ("cat", "dog"),
        "as in 'cat/indoor', belongs to them",
    ),
    "classes and parts below": Layout(
        {"cat/train/1.png": "cat", "dog/test/1.png": "dog"}, ("cat", "dog"), "2 classes: cat, dog"
    ),
    "an empty class": Layout(
        {"a/1.png": "a", "c/1.png": "c"}, ("a", "c"), "folders without images are no classes: b", empty=("b",)
    ),
    "what systems leave behind": Layout(
        {"a/1.png": "a", "b/1.png": "b"},
        ("a", "b"),
        "2 classes: a, b",
        empty=(".ipynb_checkpoints/1.png", "@eaDir/a.png", "__MACOSX/1.png", "a/.thumbs/2.png"),
    ),
    "parts with a name before them, twice": Layout(
        {
            "seg_train/seg_train/sea/1.png": "sea",
            "seg_test/seg_test/forest/1.png": "forest",
            "seg_pred/seg_pred/1.png": None,
        },
        ("forest", "sea"),
        "the folders seg_pred, seg_test, seg_train are taken as parts",
    ),
    "two vehicles": Layout(
        {"bullet_train/fast/1.png": "bullet_train", "steam_train/old/1.png": "steam_train"},
        ("bullet_train", "steam_train"),
        "as classes: 2 classes",
    ),
    "classes and a picture beside their folder": Layout(
        {"data/cat/1.png": "cat", "data/dog/1.png": "dog", "preview.png": None},
        ("cat", "dog"),
        "the folders of 'data' as classes",
    ),
    "a part beside loose images": Layout(
        {"train/cat/1.png": "cat", "train/dog/1.png": "dog", "images/1.png": None},
        ("cat", "dog"),
        "1 image lies beside",
    ),
    "VOC": Layout(
        {"VOC2012/JPEGImages/1.png": None, "VOC2012/SegmentationClass/1.png": None}, None, "are taken as kinds of files"
    ),
    "kinds with numbers": Layout({"image_2/1.png": None, "semantic/1.png": None}, None, "are taken as kinds of files"),
    "weights beside the classes": Layout(
        {"cat/1.png": "cat", "dog/1.png": "dog"}, ("cat", "dog"), "2 classes", empty=("net.onnx", "cat/a.safetensors")
    ),
    "spaces and other scripts": Layout(
        {"sea lion/1.png": "sea lion", "猫/1.png": "猫"}, ("sea lion", "猫"), "2 classes"
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_folders_of_other_people(tmp_path, layout):
    root = tmp_path / "root"
    for path in (*layout.expected, *(path for path in layout.empty if "." in path[1:])):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (1, 1)).save(root / path, "PNG")
    for path in layout.empty:
        (root / path).exists() or (root / path).mkdir()
    images = load_images(root)
    names = [None if label is None else images.classes[label] for label in images.labels]
    assert dict(zip(images.paths, names, strict=True)) == layout.expected
    assert images.classes == layout.classes
    assert layout.note in " / ".join((*images.notes, images.note))


def test_a_link_to_a_class_folder_is_a_class(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "root/cat").mkdir(parents=True)
    for path in ("elsewhere/1.png", "root/cat/1.png"):
        Image.new("RGB", (1, 1)).save(tmp_path / path)
    (tmp_path / "root/dog").symlink_to(tmp_path / "elsewhere")
    assert load_images(tmp_path / "root").classes == ("cat", "dog")


def test_where_there_is_no_difference_the_classes_are_those_of_image_folder(tmp_path):
    datasets = pytest.importorskip("torchvision.datasets")
    for name in ("Zebra", "ant", "n01440764", "sea lion", "007", "_x"):
        for number in range(2):
            (tmp_path / name / "more").mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (1, 1)).save(tmp_path / name / "more" / f"{number}.png")
    images, theirs = load_images(tmp_path), datasets.ImageFolder(tmp_path)
    assert list(images.classes) == theirs.classes
    found = {str(tmp_path / path): label for path, label in zip(images.paths, images.labels, strict=True)}
    assert found == dict(theirs.samples)
