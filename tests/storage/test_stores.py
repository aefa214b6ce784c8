"""The stores: nothing evicted from the queue, no pickle either way, damage said and survived."""

import os
import pickle
import sqlite3
import stat
import subprocess
import sys
import threading

import pytest

from lurk.errors import CacheError, QueueError
from lurk.storage.stores import PlainDisk, open_queue, open_renders, prepare_cache


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def database(folder):
    return folder / "cache.db"


def damage(folder):
    """Overwrite the middle of the database, and drop what might mend it."""
    for name in ("cache.db-wal", "cache.db-shm"):
        (folder / name).unlink(missing_ok=True)
    data = bytearray(database(folder).read_bytes())
    data[100:] = b"\xa5" * (len(data) - 100)
    database(folder).write_bytes(data)


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


@pytest.mark.parametrize("value", [None, True, [1], {"a": 1}, (1,), object()])
def test_only_plain_values_are_stored(tmp_path, value):
    disk = PlainDisk(str(tmp_path), min_file_size=1000)
    with pytest.raises(TypeError, match="texts, numbers and bytes"):
        disk.store(value, False)
    with pytest.raises(TypeError, match="key of a store is a text"):
        disk.put(value)


def plant(folder, name):
    """Put a pickle into a store, as somebody would who wants it read."""
    with sqlite3.connect(database(folder)) as connection:
        connection.execute(
            "INSERT INTO Cache (key, raw, mode, value) VALUES (?, 1, 4, ?)", (name, pickle.dumps(sys.exit))
        )
    connection.close()


def test_planted_pickle_is_never_read(tmp_path):
    queue, renders = open_queue(tmp_path), open_renders(tmp_path)
    plant(tmp_path / "queue", "job:a")
    plant(tmp_path / "renders", "a")
    with pytest.raises(QueueError, match="pickled"):
        queue.get("job:a")
    assert renders.get("a") is None
    assert "pickled" in renders.notice


def test_database_files_are_closed_to_others(tmp_path):
    open_queue(tmp_path).put("a", "text")
    open_renders(tmp_path).put("a", b"data")
    for folder in (tmp_path / "queue", tmp_path / "renders"):
        assert mode(folder) == 0o700
        assert {mode(file) for file in folder.iterdir()} == {0o600}


def test_queue_evicts_nothing_and_keeps_text_in_order(tmp_path):
    texts = open_queue(tmp_path)
    with texts.transaction():
        for number in reversed(range(300)):
            texts.put(f"a:{number:04d}", str(number) * 5000)
    assert [name for name, _ in texts.span("a:", "a;", 3)] == ["a:0000", "a:0001", "a:0002"]
    assert texts.count("a:", "a:0010") == 10
    assert len(texts.span("a:", "a;")) == 300
    texts.drop("a:0000")
    texts.drop("never there")
    assert texts.get("a:0000") is None
    assert [texts.next_number("n"), texts.next_number("n")] == [1, 2]


def test_a_transaction_that_fails_leaves_nothing_and_the_next_works(tmp_path):
    texts = open_queue(tmp_path)

    def change():
        with texts.transaction():
            texts.put("a", "half")
            raise KeyError

    with pytest.raises(KeyError):
        change()
    assert texts.get("a") is None
    with texts.transaction():
        texts.put("a", "whole")
    assert open_queue(tmp_path).get("a") == "whole"


def test_a_connection_left_within_a_transaction_mends_itself(tmp_path):
    texts = open_queue(tmp_path)
    texts._cache._sql("BEGIN IMMEDIATE")
    with pytest.raises(QueueError), texts.transaction():
        pass
    with texts.transaction():
        texts.put("a", "whole")
    assert texts.get("a") == "whole"


def test_a_full_disk_is_said_and_reads_go_on(tmp_path):
    texts = open_queue(tmp_path)
    texts.put("a", "kept")
    texts._cache._sql("PRAGMA max_page_count = 1")
    with pytest.raises(QueueError, match=r"full.*--cache"), texts.transaction():
        texts.put("b", "x" * 1_000_000)
    assert texts.get("a") == "kept"
    texts.put("b", "room again")


def test_damaged_queue_is_reported_and_not_emptied(tmp_path):
    open_queue(tmp_path).put("a", "text")
    open_queue(tmp_path).close()
    damage(tmp_path / "queue")
    before = database(tmp_path / "queue").read_bytes()
    with pytest.raises(QueueError, match=r"damaged.*move that folder away"):
        open_queue(tmp_path)
    assert database(tmp_path / "queue").read_bytes() == before


def cut(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def overwrite(file, at, length):
    data = bytearray(file.read_bytes())
    data[at : at + length] = b"\xa5" * length
    file.write_bytes(data)


DAMAGES = {
    "cut short": cut,
    "emptied": lambda file: file.write_bytes(b""),
    "gone": lambda file: file.unlink(),
    "another file": lambda file: file.write_text("this is no database\n" * 500),
    "its first page spoilt": lambda file: overwrite(file, 0, 100),
    "its pages spoilt": lambda file: overwrite(file, 4096, 1 << 16),
}


def spoil(folder, damage):
    for name in ("cache.db-wal", "cache.db-shm"):
        (folder / name).unlink(missing_ok=True)
    DAMAGES[damage](database(folder))


@pytest.mark.parametrize("damage", DAMAGES)
def test_each_damage_of_the_queue_is_reported_and_left_as_it_is(tmp_path, damage):
    texts = open_queue(tmp_path)
    with texts.transaction():
        for number in range(200):
            texts.put(f"a:{number:04d}", "text" * 500)
    texts.close()
    spoil(tmp_path / "queue", damage)
    before = {file.name: file.read_bytes() for file in (tmp_path / "queue").glob("cache.db")}
    for _ in range(2):
        with pytest.raises(QueueError, match=r"damaged.*move that folder away"):
            open_queue(tmp_path)
    assert {file.name: file.read_bytes() for file in (tmp_path / "queue").glob("cache.db")} == before
    (tmp_path / "queue").rename(tmp_path / "away")
    assert open_queue(tmp_path).next_number("n") == 1


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


def test_many_open_a_new_queue_at_once(tmp_path):
    code = (
        "import sys; from pathlib import Path; from lurk.storage.stores import open_queue\n"
        "texts = open_queue(Path(sys.argv[1]))\n"
        "for _ in range(20): texts.next_number('n')"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(4)]
    assert [one.wait() for one in running] == [0, 0, 0, 0]
    assert open_queue(tmp_path).next_number("n") == 81


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
