"""The cache directory is made, checked and closed to others."""

import os
import stat

import pytest

from lurk.errors import CacheError
from lurk.storage.cache_dir import prepare_cache


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
