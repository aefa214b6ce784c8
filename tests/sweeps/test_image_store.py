import os
import threading

import numpy as np
import pytest

from lurk.errors import LurkError
from lurk.sweeps.image_store import ImageStore, open_image_store

KEYS = [f"{number:02x}" * 4 for number in range(12)]


def samples(number, size=1000):
    return np.full(size, number, np.uint8)


def kept(store):
    return [number for number, key in enumerate(KEYS) if store.get(key, 1000) is not None]


def put_all(store, folder):
    """Put an image of each key in, each a second older than the next."""
    for number, key in enumerate(KEYS):
        store.put(key, samples(number))
        file = folder / key[:2] / key
        if file.exists():
            os.utime(file, (number, number))


def test_what_is_put_in_is_given_back(tmp_path):
    store = ImageStore(tmp_path / "images", 1 << 20)
    assert store.get(KEYS[3], 1000) is None
    store.put(KEYS[3], samples(3).reshape(10, 100))
    found = ImageStore(tmp_path / "images", 1 << 20).get(KEYS[3], 1000)
    assert found.dtype == np.uint8
    assert (found == 3).all()
    assert found.flags.writeable


@pytest.mark.parametrize("damage", [b"", b"abc", bytes(1004), bytes(1003) + b"\1"])
def test_a_damaged_file_counts_as_missing(tmp_path, damage):
    store = ImageStore(tmp_path, 1 << 20)
    store.put(KEYS[1], samples(1))
    (tmp_path / KEYS[1][:2] / KEYS[1]).write_bytes(damage)
    assert store.get(KEYS[1], 1000) is None


def test_samples_of_another_size_count_as_missing(tmp_path):
    store = ImageStore(tmp_path, 1 << 20)
    store.put(KEYS[1], samples(1))
    assert store.get(KEYS[1], 999) is None


def test_the_oldest_are_removed_when_it_is_full(tmp_path):
    put_all(ImageStore(tmp_path, 5500), tmp_path)
    put_all(store := ImageStore(tmp_path, 5500), tmp_path)
    assert kept(store)[-1] == 11
    assert kept(store) == list(range(kept(store)[0], 12))
    assert sum(file.stat().st_size for file in tmp_path.glob("*/*")) <= 5500


def test_nothing_is_removed_while_there_is_room(tmp_path):
    put_all(store := ImageStore(tmp_path, 20_000), tmp_path)
    assert kept(store) == list(range(12))


def test_what_a_killed_process_left_half_written_is_removed_too(tmp_path):
    put_all(ImageStore(tmp_path, 20_000), tmp_path)
    left = tmp_path / KEYS[0][:2] / f".{KEYS[0]}-abc"
    left.write_bytes(bytes(5000))
    os.utime(left, (0, 0))
    ImageStore(tmp_path, 5500).put("ff" * 4, samples(0))
    assert not left.exists()


def test_files_are_closed_to_other_users(tmp_path):
    store = ImageStore(tmp_path / "images", 1 << 20)
    store.put(KEYS[1], samples(1))
    assert {file.stat().st_mode & 0o077 for file in (tmp_path / "images").rglob("*")} == {0}


def test_an_image_that_cannot_be_written_is_not_kept(tmp_path):
    (tmp_path / "images").write_text("no folder")
    store = ImageStore(tmp_path / "images", 1 << 20)
    store.put(KEYS[1], samples(1))
    assert store.get(KEYS[1], 1000) is None


def test_several_threads_may_use_it_at_once(tmp_path):
    store = ImageStore(tmp_path, 5500)

    def put_each():
        for number, key in enumerate(KEYS):
            store.put(key, samples(number))

    threads = [threading.Thread(target=put_each) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kept(store)
    assert all((store.get(KEYS[number], 1000) == number).all() for number in kept(store))


def test_a_size_of_0_is_no_store_and_one_below_it_a_mistake(tmp_path):
    assert open_image_store(tmp_path, 0) is None
    assert isinstance(open_image_store(tmp_path, 1), ImageStore)
    with pytest.raises(LurkError, match="keep_images must be 0 or more megabytes, not -1"):
        open_image_store(tmp_path, -1)
