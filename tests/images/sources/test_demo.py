import hashlib
import os
import stat
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from lurk.errors import CacheError
from lurk.images.load_images import load_images
from lurk.images.sources.demo import EACH, pictures


@pytest.fixture(scope="module")
def cache(tmp_path_factory, put_demo_set) -> Path:
    return put_demo_set(tmp_path_factory.mktemp("cache"))


def hashes(folder: Path) -> dict[str, str]:
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file()
    }


def test_forty_classes_of_twenty_five_images(cache):
    images = load_images("demo", cache=cache)
    assert len(images) == 1000
    assert len(images.classes) == 40
    assert set(Counter(images.labels).values()) == {EACH}
    assert images.classes[images.labels[0]] == images.paths[0].split("/")[0] == "astronaut"
    assert (images.name, images.note) == ("demo", "")


def test_every_image_is_read_and_no_two_are_the_same(cache):
    images = load_images("demo", cache=cache)
    seen = set()
    for number in range(len(images)):
        picture = images.read(number)
        assert (picture.mode, picture.size) == ("RGB", (256, 256))
        seen.add(picture.tobytes())
    assert len(seen) == 1000


def test_a_damaged_set_is_made_again_with_the_same_bytes_in_another_process(cache, put_demo_set, tmp_path):
    put_demo_set(tmp_path)
    (tmp_path / "demo/cat/00.jpg").unlink()
    (tmp_path / "demo/dots/03.gif").write_bytes(b"")
    code = "import sys, lurk; lurk.load_images('demo', cache=sys.argv[1]); assert 'torch' not in sys.modules"
    environment = {**os.environ, "PYTHONHASHSEED": "7", "LC_ALL": "C", "TZ": "Asia/Tokyo"}
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, env=environment)
    assert hashes(tmp_path / "demo") == hashes(cache / "demo")
    assert [file.name for file in tmp_path.iterdir()] == ["demo"]


def test_it_is_just_a_folder_as_well(cache):
    demo, folder = load_images("demo", cache=cache), load_images(cache / "demo")
    assert (demo.paths, demo.labels, demo.classes) == (folder.paths, folder.labels, folder.classes)


def test_the_fingerprint_is_that_of_the_version_not_of_the_files(cache):
    before = load_images("demo", cache=cache).fingerprint
    os.utime(cache / "demo/cat/00.jpg", ns=(1, 1))
    assert load_images("demo", cache=cache).fingerprint == before
    assert load_images("demo", cache=cache, sample=2).fingerprint != before


def test_only_the_owner_may_read_it(cache):
    assert stat.S_IMODE((cache / "demo").stat().st_mode) == 0o700
    assert stat.S_IMODE((cache / "demo/cat").stat().st_mode) == 0o700
    assert stat.S_IMODE((cache / "demo/cat/00.jpg").stat().st_mode) == 0o600


def test_a_place_that_cannot_be_written_is_told_in_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CacheError, match="--cache"):
        load_images("demo", cache=tmp_path / "file" / "cache")


def test_the_pictures_vary_within_a_class_and_use_the_whole_range():
    from lurk.images.demo.stimuli import FIELDS, stimulus

    assert len(FIELDS) == 18
    for name in FIELDS:
        samples = np.stack([np.asarray(stimulus(name, number).convert("RGB")) for number in range(0, EACH, 6)])
        assert samples.astype(int).std(axis=0).mean() > 20, name
        if name != "colours":
            assert np.ptp(samples, axis=(1, 2)).max(axis=1).min() > 60, name


def test_pictures_come_in_sorted_order():
    first = [path for path, _ in zip((path for path, _ in pictures()), range(30), strict=False)]
    assert first == sorted(first)
