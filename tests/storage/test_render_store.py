"""The store of rendered images: checked, within its limit, and made anew when damaged."""

import os
import sqlite3
import threading

import pytest

from lurk.storage.render_store import open_renders
from tests.storage.damage import DAMAGES, damage, database, spoil


@pytest.mark.parametrize("damage", DAMAGES)
def test_after_each_damage_the_store_of_images_serves_again(tmp_path, damage):
    renders = open_renders(tmp_path)
    for number in range(200):
        renders.put(str(number), b"data" * 500)
    renders._store.close()
    spoil(tmp_path / "renders", damage)
    renders = open_renders(tmp_path)
    assert renders.get("7") in (None, b"data" * 500)
    for number in range(200):
        renders.get(str(number))
    renders.put("new", b"again")
    assert renders.get("new") == b"again"
    assert ("set aside" in renders.notice) is (damage not in ("emptied", "gone"))


def test_renders_come_back_and_unknown_ones_do_not(tmp_path):
    renders = open_renders(tmp_path)
    renders.put("a", b"")
    renders.put("b", b"x" * 100_000)
    assert renders.get("a") == b""
    assert open_renders(tmp_path).get("b") == b"x" * 100_000
    assert renders.get("c") is None
    assert renders.notice == ""


def test_a_render_that_fails_its_checksum_is_dropped(tmp_path):
    renders = open_renders(tmp_path)
    renders.put("a", b"right")
    with sqlite3.connect(database(tmp_path / "renders")) as connection:
        (value,) = connection.execute("SELECT value FROM Cache WHERE key = 'a'").fetchone()
        connection.execute("UPDATE Cache SET value = ? WHERE key = 'a'", (value[:-1] + b"!",))
    connection.close()
    assert renders.get("a") is None
    renders.put("a", b"again")
    assert renders.get("a") == b"again"


def test_renders_stay_within_their_limit_and_the_last_used_stays(tmp_path):
    renders = open_renders(tmp_path, limit_bytes=4_000_000)
    for number in range(100):
        renders.put(str(number), os.urandom(100_000))
        assert renders.get("0") is not None
    assert renders.get("1") is None
    assert renders.get("99") is not None
    assert sum(file.stat().st_size for file in (tmp_path / "renders").glob("cache.db")) < 5_000_000
    renders.put("huge", bytes(1_000_000))
    assert renders.get("huge") is None


@pytest.mark.parametrize("while_open", [False, True])
def test_damaged_renders_are_set_aside_and_made_anew(tmp_path, while_open):
    renders = open_renders(tmp_path)
    renders.put("a", b"data" * 1000)
    renders._store.close()
    damage(tmp_path / "renders")
    if not while_open:
        renders = open_renders(tmp_path)
    assert renders.get("a") is None
    renders.put("a", b"again")
    assert renders.get("a") == b"again"
    assert "set aside" in renders.notice
    assert len(list(tmp_path.glob("renders-damaged-*"))) == 1


def test_renders_that_were_deleted_meanwhile_are_made_anew(tmp_path):
    renders = open_renders(tmp_path)
    renders.put("a", b"data")
    for file in (tmp_path / "renders").iterdir():
        file.unlink()
    (tmp_path / "renders").rmdir()
    seen = []
    for name in ("first", "second"):
        thread = threading.Thread(target=lambda name=name: (renders.put(name, b"x"), seen.append(renders.get(name))))
        thread.start()
        thread.join()
    assert seen[-1] == b"x"
