import pytest
from PIL import Image

from lurk.errors import ImagesError
from lurk.images.load_images import load_images


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "img").mkdir()
    for name in ("b.png", "a.png", "with space.png", "with, comma.png"):
        Image.new("RGB", (8, 6)).save(tmp_path / "img" / name)
    return tmp_path


def load(folder, name, text):
    (folder / name).write_text(text, "utf-8")
    return load_images(folder / name)


def test_paths_are_relative_to_the_list_and_sorted(folder):
    images = load(folder, "set.csv", "img/b.png,dog\nimg/a.png,cat\n")
    assert (images.paths, images.labels, images.classes) == (("img/a.png", "img/b.png"), (0, 1), ("cat", "dog"))
    assert images.read(0).size == (8, 6)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "path,label\nimg/b.png,dog\nimg/a.png,cat\n"),
        ("b.csv", "label;file\ndog;img/b.png\ncat;img/a.png\n"),
        ("c.csv", 'id,Image_Path,Class\n1,"img/b.png",dog\n2,./img/a.png,cat\n'),
        ("d.tsv", "img/b.png\tdog\nimg/a.png\tcat\n"),
        ("e.txt", "img/b.png dog\nimg/a.png cat\n"),
        ("f.txt", "# a comment\n\nimg/b.png\tdog\r\nimg/a.png\tcat"),
        ("g.txt", "\ufeffimg/b.png, dog\nimg/a.png, cat\nimg/a.png, cat\n"),
    ],
)
def test_every_form_is_read(folder, name, text):
    images = load(folder, name, text)
    assert (images.paths, images.labels, images.classes) == (("img/a.png", "img/b.png"), (0, 1), ("cat", "dog"))


def test_names_with_spaces_and_commas_are_files(folder):
    images = load(folder, "a.txt", "img/with space.png\nimg/with, comma.png\n")
    assert images.paths == ("img/with space.png", "img/with, comma.png")
    quoted = load(folder, "a.csv", '"img/with, comma.png",cat\nimg/with space.png,dog\n')
    assert (quoted.paths, quoted.labels) == (("img/with space.png", "img/with, comma.png"), (1, 0))
    assert load(folder, "b.txt", "img/with space.png 3\n").labels == (3,)


def test_numbers_stay_numbers(folder):
    images = load(folder, "a.csv", "img/a.png,2\nimg/b.png,0\n")
    assert (images.labels, images.classes) == ((2, 0), ("0", "1", "2"))
    (folder / "names.txt").write_text("plane\ncar\nbird\n")
    assert load_images(folder / "a.csv", classes=folder / "names.txt").classes == ("plane", "car", "bird")


def test_without_labels_there_are_no_classes_and_it_says_why(folder):
    images = load(folder, "a.txt", "img/a.png\nimg/b.png\n")
    assert (images.labels, images.classes) == ((None, None), None)
    assert "no labels" in images.note


def test_a_missing_label_is_none_and_a_missing_file_has_a_reason(folder):
    images = load(folder, "a.csv", "img/a.png,\nimg/gone.png,cat\n")
    assert images.labels == (None, 0)
    with pytest.raises(ImagesError, match="no such file"):
        images.read(1)


def test_absolute_paths_are_taken(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("lists")
    images = load(other, "a.csv", f"{folder}/img/a.png,cat\n")
    assert images.read(0).size == (8, 6)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("path,label\n", "empty"),
        ("img/a.png,cat\n,dog\n", "line 2 has no path"),
        ("img/a.png,cat\n\nimg/a.png,dog\n", "line 3: 'img/a.png' is labelled 'dog', on line 1 'cat'"),
        ('img/a.png,cat\nimg/"b.png,dog\n"x"y,z\n', "line 3"),
        ("x/a.png,cat\nx/b.png,cat\n", "not one of its 2 files is there; the first, line 1: 'x/a.png'"),
    ],
)
def test_a_wrong_list_is_told_with_its_line(folder, text, reason):
    with pytest.raises(ImagesError, match=reason) as caught:
        load(folder, "set.csv", text)
    assert "set.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_list_that_is_no_text_is_told(folder):
    (folder / "a.csv").write_bytes(b"img/a.png,cat\nimg/\0.png,cat\n")
    with pytest.raises(ImagesError, match="is no text"):
        load_images(folder / "a.csv")
    with pytest.raises(ImagesError, match="cannot be read"):
        load_images(folder / "none.csv")
