import os
from pathlib import Path

import pytest
from PIL import Image

from lurk.errors import ImagesError
from lurk.images.load_images import load_images


def put(file: Path, colour: tuple[int, int, int] = (1, 2, 3)) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), colour).save(file)
    return file


def test_a_sub_folder_is_a_class(tmp_path):
    for path in ("dog/2.png", "dog/10.png", "cat/deep/er/1.jpg", "cat/0.jpg", "a b/1.png"):
        put(tmp_path / path)
    images = load_images(tmp_path)
    assert images.paths == ("a b/1.png", "cat/0.jpg", "cat/deep/er/1.jpg", "dog/10.png", "dog/2.png")
    assert images.classes == ("a b", "cat", "dog")
    assert images.labels == (0, 1, 1, 2, 2)
    assert (images.name, images.note, len(images)) == (tmp_path.name, "", 5)
    assert images.read(1).size == (8, 6)


def test_classes_are_sorted_by_folder_not_by_path(tmp_path):
    for path in ("a/1.png", "a b/1.png", "a-b/1.png"):
        put(tmp_path / path)
    images = load_images(str(tmp_path))
    assert images.paths == ("a/1.png", "a b/1.png", "a-b/1.png")
    assert images.labels == (0, 1, 2)


def test_a_flat_folder_has_no_classes_and_says_why(tmp_path):
    put(tmp_path / "b.png")
    put(tmp_path / "a.png")
    images = load_images(tmp_path)
    assert (images.paths, images.labels, images.classes) == (("a.png", "b.png"), (None, None), None)
    assert "no sub-folders" in images.note


def test_images_beside_class_folders_have_no_class(tmp_path):
    put(tmp_path / "x.png")
    put(tmp_path / "cat/1.png")
    images = load_images(tmp_path)
    assert (images.paths, images.labels) == (("cat/1.png", "x.png"), (0, None))
    assert "1 image lies beside" in images.note


def test_hidden_files_and_companions_are_no_images(tmp_path):
    put(tmp_path / "cat/1.png")
    for path in (".DS_Store", "Thumbs.db", "README", "labels.csv", "cat/1.xml", "cat/._1.png", ".git/x.png"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text("no image")
    assert load_images(tmp_path).paths == ("cat/1.png",)


def test_bad_files_stay_in_the_list_and_give_their_reason(tmp_path):
    put(tmp_path / "b.png")
    (tmp_path / "a.jpg").touch()
    (tmp_path / "c.heic").write_bytes(b"unknown")
    (tmp_path / "d").write_bytes(b"no suffix")
    images = load_images(tmp_path)
    assert images.paths == ("a.jpg", "b.png", "c.heic", "d")
    for number in (0, 2, 3):
        with pytest.raises(ImagesError):
            images.read(number)
    assert images.read(1).mode == "RGB"


def test_links_are_followed_but_not_in_circles(tmp_path):
    put(tmp_path / "elsewhere/1.png")
    (tmp_path / "set/cat").mkdir(parents=True)
    (tmp_path / "set/dog").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set/cat/back").symlink_to(tmp_path / "set")
    (tmp_path / "set/cat/gone.png").symlink_to(tmp_path / "nowhere.png")
    images = load_images(tmp_path / "set")
    assert images.paths == ("cat/gone.png", "dog/1.png")
    with pytest.raises(ImagesError, match="no such file"):
        images.read(0)


def test_the_fingerprint_changes_with_content_names_and_labels(tmp_path):
    put(tmp_path / "cat/1.png")
    seen = [load_images(tmp_path).fingerprint]
    assert load_images(tmp_path).fingerprint == seen[0]
    assert len(seen[0]) == 32
    os.utime(tmp_path / "cat/1.png", ns=(1, 1))
    seen.append(load_images(tmp_path).fingerprint)
    (tmp_path / "cat").rename(tmp_path / "dog")
    seen.append(load_images(tmp_path).fingerprint)
    put(tmp_path / "dog/2.png")
    seen.append(load_images(tmp_path).fingerprint)
    assert len(set(seen)) == 4


def test_an_image_set_can_be_pickled_for_other_processes(tmp_path):
    import pickle

    put(tmp_path / "cat/1.png")
    images = pickle.loads(pickle.dumps(load_images(tmp_path)))
    assert images.read(0).size == (8, 6)


def test_a_number_outside_of_the_set_is_an_index_error(tmp_path):
    put(tmp_path / "cat/1.png")
    for number in (-1, 1):
        with pytest.raises(IndexError):
            load_images(tmp_path).read(number)


def test_nothing_and_nowhere_are_told_in_one_line(tmp_path):
    for source in (tmp_path, tmp_path / "none", "no-such-thing"):
        with pytest.raises(ImagesError, match="--data") as caught:
            load_images(source)
        assert "\n" not in str(caught.value)


def test_names_that_are_no_utf8_are_listed(tmp_path):
    try:
        put(tmp_path / "cat/1.png").rename(os.fsdecode(os.fsencode(tmp_path) + b"/cat/\xff.png"))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    images = load_images(tmp_path)
    assert images.read(0).size == (8, 6)
    assert len(images.fingerprint) == 32
    assert len(images.sampled(1)) == 1
