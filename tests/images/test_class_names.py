import json

import pytest
from PIL import Image

from lurk.errors import ImagesError, ModelError
from lurk.images.class_names import name_outputs
from lurk.images.load_images import load_images

FOLDERS = ("n01440764", "n01443537", "n01484850")
NAMES = ("tench", "goldfish", "great white shark")
PAIRS = tuple(zip(FOLDERS, NAMES, strict=True))


@pytest.fixture
def folder(tmp_path):
    for name in FOLDERS:
        (tmp_path / "set" / name).mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(tmp_path / "set" / name / "1.png")
    return tmp_path / "set"


FILES = {
    "dict.json": json.dumps(dict(PAIRS)),
    "index.json": json.dumps({str(n): list(pair) for n, pair in enumerate(PAIRS)}),
    "list.json": json.dumps(list(NAMES)),
    "comma.csv": "\n".join(",".join(pair) for pair in PAIRS),
    "quoted.csv": "\n".join(f'"{a}", "{b}"' for a, b in PAIRS),
    "titled.csv": "folder,name\n" + "\n".join(",".join(pair) for pair in PAIRS),
    "tab.tsv": "\n".join("\t".join(pair) for pair in PAIRS),
    "space.txt": "\r\n".join(" ".join(pair) for pair in PAIRS),
    "names.txt": "\n".join(NAMES) + "\n\n",
    "bom.txt": "\ufeff" + "\n".join(" ".join(pair) for pair in PAIRS),
}


@pytest.mark.parametrize("file", FILES)
def test_every_form_names_the_classes(tmp_path, folder, file):
    (tmp_path / file).write_text(FILES[file], "utf-8")
    images = load_images(folder, classes=tmp_path / file)
    assert images.classes == NAMES
    assert images.fingerprint != load_images(folder).fingerprint


def test_names_with_commas_after_a_space_stay_whole(tmp_path, folder):
    (tmp_path / "a.txt").write_text("n01440764 tench, Tinca tinca\nn01443537 goldfish, Carassius auratus\n")
    assert load_images(folder, classes=tmp_path / "a.txt").classes == (
        "tench, Tinca tinca",
        "goldfish, Carassius auratus",
        "n01484850",
    )


def test_two_classes_of_one_name_are_told_apart(tmp_path, folder):
    (tmp_path / "a.csv").write_text("n01440764,crane\nn01443537,crane\nn01484850,shark")
    assert load_images(folder, classes=tmp_path / "a.csv").classes == (
        "crane (n01440764)",
        "crane (n01443537)",
        "shark",
    )


def test_a_list_names_numbers_by_place(tmp_path):
    for name in ("0", "2"):
        (tmp_path / "set" / name).mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(tmp_path / "set" / name / "1.png")
    (tmp_path / "names.txt").write_text("plane\ncar\nbird\ncat\n")
    assert load_images(tmp_path / "set", classes=tmp_path / "names.txt").classes == ("plane", "bird")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("none.txt", None),
        ("empty.txt", b""),
        ("broken.json", b"{"),
        ("odd.json", b'{"a": 1}'),
        ("binary.txt", b"\xff\xfe\x00"),
        ("other.txt", b"apple\npear\n"),
    ],
)
def test_a_file_that_does_not_fit_is_told_in_one_line(tmp_path, folder, name, content):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ImagesError, match=f"--classes .*{name}") as caught:
        load_images(folder, classes=tmp_path / name)
    assert "\n" not in str(caught.value)


def test_names_without_classes_are_refused(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "1.png")
    (tmp_path / "names.txt").write_text("a\n")
    with pytest.raises(ImagesError, match="no classes to name"):
        load_images(tmp_path, classes=tmp_path / "names.txt")


TWELVE = tuple("abcdefghijkl")


def numbered(tmp_path, numbers):
    for number in numbers:
        (tmp_path / "set" / str(number)).mkdir(parents=True)
        Image.new("RGB", (1, 1)).save(tmp_path / "set" / str(number) / "1.png")
    return tmp_path / "set"


@pytest.mark.parametrize(
    ("numbers", "text", "expected", "note"),
    [
        (range(1, 13), "\n".join(TWELVE), TWELVE, "by number, counted from 1, so 1 is a"),
        (range(12), "\n".join(TWELVE), TWELVE, "by number, counted from 0, so 0 is a"),
        ((0, 2, 10), "\n".join(TWELVE), ("a", "c", "k"), "counted from 0, so 0 is a"),
        ((0, 1), "0: great cat\n1: dog\n", ("great cat", "dog"), "so 0 is great cat"),
        ((9, 10), "names:\n  9: cat\n  10: dog\n", ("cat", "dog"), "so 9 is cat"),
        (("n02119789", "n02100735"), "n02119789 1 kit_fox\nn02100735 2 setter\n", ("setter", "kit_fox"), "by name"),
        (("n02119789", "n02100735"), "0\tn02119789\tkit fox\n1\tn02100735\tsetter\n", ("setter", "kit fox"), "by name"),
        (("01", "02", "12"), "\n".join(TWELVE), ("a", "b", "l"), "counted from 1"),
        (range(1, 13), json.dumps(dict(enumerate(TWELVE))), TWELVE, "counted from 1"),
        (range(1, 13), json.dumps({k + 1: name for k, name in enumerate(TWELVE)}), TWELVE, "as the file has it"),
        (range(12), json.dumps({name: k for k, name in enumerate(TWELVE)}), TWELVE, "so 0 is a"),
        ((1, 2), "number,name\n1,great cat\n2,dog\n", ("great cat", "dog"), "so 1 is great cat"),
        (("001", "002"), "1 cat\n2 dog\n", ("cat", "dog"), "so 1 is cat"),
        ((1, 2, 3), "1 cat\n2 dog\n", ("cat", "dog", "3"), "it has no name for 3"),
    ],
)
def test_numbered_folders_are_named_by_number(tmp_path, numbers, text, expected, note):
    (tmp_path / "names.txt").write_text(text)
    images = load_images(numbered(tmp_path, numbers), classes=tmp_path / "names.txt")
    assert images.classes == expected
    assert note in images.notes[-1]


def test_labels_of_a_list_are_named_by_number(tmp_path):
    Image.new("RGB", (1, 1)).save(tmp_path / "a.png")
    Image.new("RGB", (1, 1)).save(tmp_path / "b.png")
    (tmp_path / "list.csv").write_text("a.png,1\nb.png,12\n")
    (tmp_path / "names.txt").write_text("\n".join(TWELVE))
    images = load_images(tmp_path / "list.csv", classes=tmp_path / "names.txt")
    assert [images.classes[label] for label in images.labels] == ["a", "l"]
    assert images.labels == (1, 12)


@pytest.mark.parametrize(
    ("folders", "text"),
    [
        ((1, 2, 14), "\n".join(TWELVE)),
        ((1, 2), "\n".join(TWELVE)),
        (("cat", "bird"), "cat\nhorse"),
        (("class9", "class10"), "cat\ndog"),
    ],
)
def test_names_that_may_be_of_other_classes_are_refused(tmp_path, folders, text):
    (tmp_path / "names.txt").write_text(text)
    with pytest.raises(ImagesError, match="write a line for each"):
        load_images(numbered(tmp_path, folders), classes=tmp_path / "names.txt")


def test_a_list_of_the_folders_themselves_renames_nothing(tmp_path):
    (tmp_path / "names.txt").write_text("dog\ncat\nbird\n")
    images = load_images(numbered(tmp_path, ("bird", "cat", "dog")), classes=tmp_path / "names.txt")
    assert images.classes == ("bird", "cat", "dog")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (["cat", "dog"], ("cat", "dog")),
        (("cat", "dog"), ("cat", "dog")),
        ({0: "cat", 1: "dog"}, ("cat", "dog")),
        ({1: "dog", 0: "cat"}, ("cat", "dog")),
        ({"1": "dog", "0": "cat"}, ("cat", "dog")),
        ({1: "cat", 2: "dog"}, ("cat", "dog")),
        ({"dog": 1, "cat": 0}, ("cat", "dog")),
        ({"cat": 1, "dog": 2}, ("cat", "dog")),
        ({"0": ["n02123045", "cat"], "1": ["n02084071", "dog"]}, ("cat", "dog")),
        ((name for name in ("cat", "dog")), ("cat", "dog")),
        ([0, 1], ("0", "1")),
        ({"1": 0, "10": 1, "2": 2}, ("1", "10", "2")),
        ({"0": "7", "1": "3"}, ("7", "3")),
        ([("tench", "Tinca tinca"), ("cat",)], ("tench, Tinca tinca", "cat")),
    ],
)
def test_names_of_outputs_are_taken_in_the_order_of_their_numbers(value, expected):
    assert name_outputs(value, "net")[0] == expected


def test_numbers_from_1_are_said():
    assert name_outputs({1: "cat", 2: "dog"}, "net")[1] == "the class names count from 1, so output 0 is 'cat'"
    assert name_outputs({0: "cat", 1: "dog"}, "net")[1] == ""


@pytest.mark.parametrize("text", ['{"0": "cat", "1": "dog"}', '{"dog": 1, "cat": 0}', '["cat", "dog"]'])
def test_names_of_outputs_are_read_from_a_file(tmp_path, text):
    (tmp_path / "names.json").write_text(text)
    assert name_outputs(tmp_path / "names.json", "net")[0] == ("cat", "dog")
    (tmp_path / "names.txt").write_text("great cat\ndog\n")
    assert name_outputs(str(tmp_path / "names.txt"), "net")[0] == ("great cat", "dog")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({0: "cat", 2: "dog"}, "no name for output 1"),
        ({"cat": 0, "dog": 0}, "no name for output 1, or two for one"),
        ({"a": "cat"}, "is to name numbers"),
        ({"cat", "dog"}, "a set, which has no order"),
        ("cat", "'cat' is no file"),
        (3, "not int"),
        ({}, "is to name numbers"),
    ],
)
def test_names_of_outputs_that_are_not_certain_are_refused(value, reason):
    with pytest.raises(ModelError, match=reason) as caught:
        name_outputs(value, "net")
    assert "\n" not in str(caught.value)
