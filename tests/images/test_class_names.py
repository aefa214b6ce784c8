import json

import pytest
from PIL import Image

from lurk.errors import ImagesError
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
