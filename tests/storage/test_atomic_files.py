"""Files and folders that are written whole or not at all."""

import os
import stat

import pytest

from lurk.storage.atomic_files import replace_file, replace_folder, write_file


def fail_midway(file):
    with replace_file(file) as out:
        out.write(b"half")
        raise KeyError


def test_a_file_takes_the_place_of_the_old_one_and_only_its_owner_reads_it(tmp_path):
    file = tmp_path / "file"
    file.write_text("old")
    file.chmod(0o644)
    with replace_file(file, is_synced=True) as out:
        out.write(b"new")
        assert file.read_text() == "old"
    assert file.read_text() == "new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    write_file(file, "ünewer")
    assert file.read_bytes() == "ünewer".encode()


def test_a_file_that_fails_leaves_the_old_one_and_nothing_beside_it(tmp_path):
    write_file(tmp_path / "file", b"old")
    with pytest.raises(KeyError):
        fail_midway(tmp_path / "file")
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("file", "old")]


def test_an_existing_file_is_kept_where_the_first_one_counts(tmp_path):
    for content in (b"first", b"second"):
        with replace_file(tmp_path / "file", keep_existing=True) as out:
            out.write(content)
    assert [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()] == [("file", b"first")]


def test_content_is_on_the_disk_before_it_takes_its_place(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append((tmp_path / "file").exists()))
    write_file(tmp_path / "file", b"", is_synced=False)
    assert synced == []
    (tmp_path / "file").unlink()
    write_file(tmp_path / "file", b"", is_synced=True)
    assert synced == [False]


def make(folder, content, is_complete=lambda: False):
    with replace_folder(folder, is_complete) as new:
        assert stat.S_IMODE(new.stat().st_mode) == 0o700
        (new / "a").write_text(content)


@pytest.mark.parametrize("before", ["nothing", "a folder", "a file"])
def test_a_folder_takes_the_place_of_whatever_was_there(tmp_path, before):
    folder = tmp_path / "parent" / "folder"
    if before == "a folder":
        make(folder, "old")
    elif before == "a file":
        folder.parent.mkdir()
        folder.write_text("old")
    make(folder, "new")
    assert (folder / "a").read_text() == "new"
    assert list(folder.parent.iterdir()) == [folder]


def test_a_folder_that_another_process_completed_stays(tmp_path):
    make(tmp_path / "folder", "first")
    make(tmp_path / "folder", "second", lambda: True)
    assert (tmp_path / "folder/a").read_text() == "first"
    assert list(tmp_path.iterdir()) == [tmp_path / "folder"]
