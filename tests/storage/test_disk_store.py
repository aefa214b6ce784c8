"""Stores keep plain values only, read no pickle, and are closed to others."""

import pickle
import sqlite3
import stat
import sys

import pytest

from lurk.errors import QueueError
from lurk.jobs.disk_text_store import open_texts
from lurk.storage.disk_store import PlainDisk
from lurk.storage.render_store import open_renders


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def database(folder):
    return folder / "cache.db"


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
    queue, renders = open_texts(tmp_path), open_renders(tmp_path)
    plant(tmp_path / "queue", "job:a")
    plant(tmp_path / "renders", "a")
    with pytest.raises(QueueError, match="pickled"):
        queue.get("job:a")
    assert renders.get("a") is None
    assert "pickled" in renders.notice


def test_database_files_are_closed_to_others(tmp_path):
    open_texts(tmp_path).put("a", "text")
    open_renders(tmp_path).put("a", b"data")
    for folder in (tmp_path / "queue", tmp_path / "renders"):
        assert mode(folder) == 0o700
        assert {mode(file) for file in folder.iterdir()} == {0o600}
