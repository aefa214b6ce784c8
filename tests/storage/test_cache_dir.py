"""The cache directory is made, checked and closed to others; no SQLite store is opened where machines share it."""

import os
import stat
import tempfile
from pathlib import Path

import pytest

from lurk.errors import CacheError
from lurk.storage import cache_dir
from lurk.storage.cache_dir import file_system, is_shared, prepare_cache
from lurk.storage.render_store import open_renders


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_cache_is_made_with_its_parents_and_closed_to_others(tmp_path):
    cache = prepare_cache(tmp_path / "a" / "b")
    assert cache.is_dir()
    assert mode(cache) == 0o700


def test_open_cache_is_closed_to_others(tmp_path):
    (tmp_path / "c").mkdir(mode=0o755)
    assert mode(prepare_cache(str(tmp_path / "c"))) == 0o700


def test_cache_that_everyone_can_change_is_refused(tmp_path):
    (tmp_path / "c").mkdir()
    (tmp_path / "c").chmod(0o777)
    with pytest.raises(CacheError, match=r"everyone.*--cache"):
        prepare_cache(tmp_path / "c")
    assert mode(tmp_path / "c") == 0o777


def test_cache_of_another_user_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(CacheError, match="another user"):
        prepare_cache(tmp_path)


@pytest.mark.parametrize("path", ["/", "~", "{file}", "{file}/cache", "/proc/no/cache", "bad\0name"])
def test_unusable_cache_gets_one_line_that_names_the_flag(tmp_path, path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CacheError) as raised:
        prepare_cache(path.format(file=tmp_path / "file"))
    assert "--cache" in str(raised.value)
    assert "\n" not in str(raised.value)


MOUNTS = """overlay / overlay rw 0 0
server:/lab /mnt/lab nfs4 rw 0 0
/dev/sdb /mnt/lab/local ext4 rw 0 0
"""


@pytest.fixture
def mounts(tmp_path, monkeypatch):
    file = tmp_path / "mounts"
    file.write_text(MOUNTS)
    monkeypatch.setattr(cache_dir, "MOUNTS", file)
    return file


def test_the_innermost_mount_counts(mounts):
    assert file_system(Path("/mnt/lab/cache")) == "nfs4"
    assert file_system(Path("/mnt/laboratory")) == "overlay"
    assert is_shared(Path("/mnt/lab/cache"))
    assert not is_shared(Path("/mnt/lab/local/cache"))
    mounts.unlink()
    assert not is_shared(Path("/mnt/lab/cache"))


def test_renders_of_a_shared_cache_lie_on_this_machine(mounts, tmp_path, monkeypatch):
    cache, here = tmp_path / "cache", tmp_path / "here"
    cache.mkdir()
    here.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(here))
    mounts.write_text(f"{MOUNTS}server:/x {cache} nfs rw 0 0\n")
    open_renders(cache).put("a/b", b"image")
    assert open_renders(cache).get("a/b") == b"image"
    assert not list(cache.iterdir())
    assert [place.name for place in next(here.iterdir()).iterdir()] == ["renders"]
