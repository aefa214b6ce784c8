import pickle

import pytest
import torch
from PIL import Image

from lurk.errors import ImagesError
from lurk.images.load_images import load_images
from lurk.images.readable_hit import read_hit, readable
from lurk.records import Hit


@pytest.fixture
def images(tmp_path):
    for name, red in (("cat", 10), ("dog", 20)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        Image.new("RGB", (4, 4), (red, 0, 0)).save(tmp_path / "photos" / name / "1.png")
    return load_images(tmp_path / "photos")


DOG = Hit(1, "dog/1.png", 1, 2.5, 0, 0, (0, 0, 3, 3), 2.75)


def red(picture):
    return picture.getpixel((0, 0))[0]


def test_a_readable_hit_has_the_path_of_its_file_from_any_folder(images, tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    hit = readable(DOG, images)
    assert hit.path == str(tmp_path / "photos" / "dog" / "1.png")
    assert red(Image.open(hit.path)) == red(hit.read()) == 20
    assert (hit.score, hit.before, hit.box) == (DOG.score, DOG.before, DOG.box)


def test_hits_with_equal_values_are_equal_and_stay_so_in_a_pickle(images):
    hit = readable(DOG, images)
    assert hit == readable(DOG, images)
    assert hash(hit) == hash(readable(DOG, images))
    assert hit != DOG
    assert hit == Hit(1, hit.path, 1, 2.5, 0, 0, (0, 0, 3, 3), 2.75)
    again = pickle.loads(pickle.dumps(hit))
    assert again == hit
    assert red(again.read()) == 20


def test_a_hit_of_a_stored_index_is_read_with_its_image_set(images):
    assert red(read_hit(DOG, images)) == 20
    with pytest.raises(ImagesError, match=r"'dog/1\.png', is below its image set's folder; give images="):
        read_hit(DOG, None)


def test_a_file_of_the_same_name_in_this_folder_is_not_taken_for_it(images, tmp_path, monkeypatch):
    (tmp_path / "elsewhere" / "dog").mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(tmp_path / "elsewhere" / "dog" / "1.png")
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(ImagesError, match="give images="):
        read_hit(DOG, None)


@pytest.mark.parametrize(
    "other", [Hit(0, "dog/1.png", 1, 1, 0, 0, (0, 0, 1, 1)), Hit(7, "x", 1, 1, 0, 0, (0, 0, 1, 1))]
)
def test_another_image_set_is_refused(images, other):
    with pytest.raises(ImagesError, match="is not in image set 'photos'; give its own"):
        read_hit(other, images)


def test_a_hit_of_a_data_set_without_files_is_read_by_its_number():
    data = load_images([(Image.new("RGB", (4, 4), (n, 0, 0)), 0) for n in range(3)])
    hit = readable(Hit(2, "2", 0, 1.0, 0, 0, (0, 0, 1, 1)), data)
    assert hit.path == "2"
    assert red(hit.read()) == 2


def test_what_a_data_set_has_preprocessed_is_not_preprocessed_again():
    data = load_images([(torch.full((3, 4, 4), float(n)), 0) for n in range(3)])
    assert readable(Hit(1, "1", 0, 1.0, 0, 0, (0, 0, 1, 1)), data).read().max() == 1
