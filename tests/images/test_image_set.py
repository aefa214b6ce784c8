import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lurk.errors import ImagesError
from lurk.images.image_set import read_hit, readable
from lurk.images.load_images import load_images
from lurk.records import Hit


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, count in (("cat", 12), ("dog", 3)):
        (tmp_path / name).mkdir()
        for number in range(count):
            Image.new("RGB", (4, 4), (number, 0, 0)).save(tmp_path / name / f"{number:02}.png")
    return tmp_path


def test_a_sample_takes_so_many_of_each_class_in_order(folder):
    images = load_images(folder, sample=5)
    assert images.labels == (0,) * 5 + (1,) * 3
    assert list(images.paths) == sorted(images.paths)
    whole = load_images(folder)
    for number, path in enumerate(images.paths):
        assert images.read(number).getpixel((0, 0)) == whole.read(whole.paths.index(path)).getpixel((0, 0))


def test_the_same_sample_each_time_and_a_larger_one_holds_it(folder):
    small, large = load_images(folder, sample=2), load_images(folder, sample=4)
    assert small.paths == load_images(folder, sample=2).paths
    assert set(small.paths) < set(large.paths)
    assert small.fingerprint != large.fingerprint


def test_a_sample_does_not_depend_on_what_else_is_there(folder):
    before = load_images(folder, sample=1).paths
    kept = {path for path in load_images(folder).paths if path.startswith("cat") and path not in before}
    (folder / sorted(kept)[0]).unlink()
    assert load_images(folder, sample=1).paths == before


def test_a_sample_of_nothing_is_refused(folder):
    with pytest.raises(ImagesError, match="--sample"):
        load_images(folder, sample=0)


def test_images_without_a_class_are_sampled_as_one_group(tmp_path):
    for number in range(6):
        Image.new("RGB", (4, 4)).save(tmp_path / f"{number}.png")
    assert len(load_images(tmp_path, sample=2)) == 2


def test_what_was_understood_stays_with_a_sample_and_with_new_names(folder, tmp_path):
    (tmp_path / "names.txt").write_text("cat tom\ndog rex\n")
    images = replace(load_images(folder), notes=("two classes",))
    assert load_images(images, sample=2).notes == ("two classes",)
    assert "two classes" in load_images(images, classes=tmp_path / "names.txt").notes


def test_each_image_of_a_folder_or_list_has_an_absolute_file(folder, tmp_path, monkeypatch):
    listed = folder / "some.csv"
    listed.write_text("cat/01.png,a\ndog/02.png,b\n")
    monkeypatch.chdir(folder.parent)
    for source in (folder, folder.name, listed, f"{folder.name}/some.csv"):
        images = load_images(source)
        monkeypatch.chdir("/")
        for number, path in enumerate(images.paths):
            assert images.file(number) == folder.resolve() / path
            assert images.file(number).is_file()
        monkeypatch.chdir(folder.parent)
    assert load_images(folder, sample=1).file(1).parent.name == "dog"


def test_images_that_are_no_files_have_none():
    assert load_images([(Image.new("RGB", (4, 4)), 0)]).file(0) is None


def test_a_data_set_of_files_has_their_files(folder):
    import torchvision

    images = load_images(torchvision.datasets.ImageFolder(str(folder)))
    assert images.file(0) == folder / "cat" / "00.png"


@pytest.fixture
def photos(tmp_path):
    for name, red in (("cat", 10), ("dog", 20)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        Image.new("RGB", (4, 4), (red, 0, 0)).save(tmp_path / "photos" / name / "1.png")
    return load_images(tmp_path / "photos")


DOG = Hit(1, "dog/1.png", 1, 2.5, 0, 0, (0, 0, 3, 3), 2.75)


def red(picture):
    return picture.getpixel((0, 0))[0]


def test_a_readable_hit_has_the_path_of_its_file_from_any_folder(photos, tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    hit = readable(DOG, photos)
    assert hit.path == str(tmp_path / "photos" / "dog" / "1.png")
    assert red(Image.open(hit.path)) == red(hit.read()) == 20
    assert (hit.score, hit.before, hit.box) == (DOG.score, DOG.before, DOG.box)


def test_hits_with_equal_values_are_equal_and_stay_so_in_a_pickle(photos):
    hit = readable(DOG, photos)
    assert hit == readable(DOG, photos)
    assert hash(hit) == hash(readable(DOG, photos))
    assert hit != DOG
    assert hit == Hit(1, hit.path, 1, 2.5, 0, 0, (0, 0, 3, 3), 2.75)
    again = pickle.loads(pickle.dumps(hit))
    assert again == hit
    assert red(again.read()) == 20


def test_a_hit_of_a_stored_index_is_read_with_its_image_set(photos):
    assert red(read_hit(DOG, photos)) == 20
    with pytest.raises(ImagesError, match=r"'dog/1\.png', is below its image set's folder; give images="):
        read_hit(DOG, None)


def test_a_file_of_the_same_name_in_this_folder_is_not_taken_for_it(photos, tmp_path, monkeypatch):
    (tmp_path / "elsewhere" / "dog").mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(tmp_path / "elsewhere" / "dog" / "1.png")
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(ImagesError, match="give images="):
        read_hit(DOG, None)


@pytest.mark.parametrize(
    "other", [Hit(0, "dog/1.png", 1, 1, 0, 0, (0, 0, 1, 1)), Hit(7, "x", 1, 1, 0, 0, (0, 0, 1, 1))]
)
def test_another_image_set_is_refused(photos, other):
    with pytest.raises(ImagesError, match="is not in image set 'photos'; give its own"):
        read_hit(other, photos)


def test_a_hit_of_a_data_set_without_files_is_read_by_its_number():
    data = load_images([(Image.new("RGB", (4, 4), (n, 0, 0)), 0) for n in range(3)])
    hit = readable(Hit(2, "2", 0, 1.0, 0, 0, (0, 0, 1, 1)), data)
    assert hit.path == "2"
    assert red(hit.read()) == 2


def test_what_a_data_set_has_preprocessed_is_not_preprocessed_again():
    data = load_images([(torch.full((3, 4, 4), float(n)), 0) for n in range(3)])
    assert readable(Hit(1, "1", 0, 1.0, 0, 0, (0, 0, 1, 1)), data).read().max() == 1


def test_a_file_of_more_than_8_bits_needs_the_range_of_its_set(tmp_path):
    for name, samples in (("a", [[0, 1000]]), ("b", [[0, 4000]])):
        Image.fromarray(np.array(samples, np.uint16)).save(tmp_path / f"{name}.png")
    images = load_images(tmp_path)
    hit = readable(Hit(0, "a.png", None, 1.0, 0, 0, (0, 0, 1, 1)), images)
    assert hit.read().getpixel((1, 0)) == (62, 62, 62)  # 1000 / 4095 of 255
    with pytest.raises(ImagesError, match="has more than 8 bits, which its image set scales; give images="):
        pickle.loads(pickle.dumps(hit)).read()
    assert read_hit(pickle.loads(pickle.dumps(hit)), images).getpixel((1, 0)) == (62, 62, 62)
