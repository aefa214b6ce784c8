import io

import numpy as np
import pytest

from lurk.errors import IndexFormatError
from lurk.storage import npy_file
from lurk.storage.npy_file import StoredArray, stored_arrays, write_array


@pytest.fixture
def file(tmp_path):
    return tmp_path / "some.npy"


def write(file, array, *convert):
    with file.open("wb") as out:
        write_array(out, array, *convert)


ARRAYS = {
    "rows": np.arange(60.0).reshape(10, 3, 2),
    "transposed": np.arange(24, dtype=np.int32).reshape(4, 6).T,
    "one axis": np.arange(5, dtype=np.int64),
    "no rows": np.zeros((0, 3)),
    "empty rows": np.zeros((4, 0, 2, 2)),
}


@pytest.mark.parametrize("slice_bytes", [1, 100, 1 << 24])
@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_is_read_as_it_was_written(file, monkeypatch, name, slice_bytes):
    monkeypatch.setattr(npy_file, "SLICE_BYTES", slice_bytes)
    array = ARRAYS[name]
    write(file, array)
    stored = StoredArray(file)
    assert (len(stored), stored.shape, stored.dtype) == (len(array), array.shape, array.dtype)
    for rows in (slice(None), slice(1, 3), slice(2, None), slice(3, 99), slice(7, 7)):
        assert np.array_equal(stored[rows], array[rows])
    plain = np.load(file)
    assert np.array_equal(plain, array)
    assert plain.dtype == array.dtype


def test_a_slice_is_an_array_of_its_own(file):
    write(file, np.zeros(4))
    StoredArray(file)[1:3][:] = 7
    assert not np.load(file).any()


def test_rows_are_converted_a_slice_at_a_time(file, monkeypatch):
    monkeypatch.setattr(npy_file, "SLICE_BYTES", 64)
    seen = []

    def halved(rows):
        seen.append(len(rows))
        return (rows.sum(1) / 2).astype(np.float32)

    array = np.arange(30.0).reshape(10, 3)
    write(file, array, halved)
    found = np.load(file)
    assert found.dtype == np.float32
    assert np.array_equal(found, (array.sum(1) / 2).astype(np.float32))
    assert max(seen) == 2


def test_a_file_that_is_no_array_or_cut_short_is_named(file):
    file.write_bytes(b"no array at all, and more")
    with pytest.raises(IndexFormatError, match=r"some\.npy"):
        StoredArray(file)
    write(file, np.arange(100))
    file.write_bytes(file.read_bytes()[:-1])
    stored = StoredArray(file)
    assert stored[:99].tolist() == list(range(99))
    with pytest.raises(IndexFormatError, match="cut short"):
        stored[98:]


def test_a_file_that_is_removed_meanwhile_is_an_oserror(file):
    write(file, np.arange(3))
    stored = StoredArray(file)
    file.unlink()
    with pytest.raises(FileNotFoundError):
        stored[:]


def test_the_arrays_of_a_folder_are_found_by_name(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(3))
    np.save(tmp_path / "b.npy", np.arange(4))
    (tmp_path / ".c.npy-unfinished").write_bytes(b"")
    assert {name: len(array) for name, array in stored_arrays(tmp_path).items()} == {"a": 3, "b": 4}


def test_the_file_is_plain_npy(file):
    out = io.BytesIO()
    np.save(out, ARRAYS["rows"])
    write(file, ARRAYS["rows"])
    assert file.read_bytes() == out.getvalue()
