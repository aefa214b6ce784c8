"""Which folders several machines may share, and that no SQLite store is opened there."""

import tempfile
from pathlib import Path

import pytest

from lurk.storage import filesystem
from lurk.storage.filesystem import file_system, is_shared
from lurk.storage.render_store import open_renders

MOUNTS = """overlay / overlay rw 0 0
server:/lab /mnt/lab nfs4 rw 0 0
/dev/sdb /mnt/lab/local ext4 rw 0 0
"""


@pytest.fixture
def mounts(tmp_path, monkeypatch):
    file = tmp_path / "mounts"
    file.write_text(MOUNTS)
    monkeypatch.setattr(filesystem, "MOUNTS", file)
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
