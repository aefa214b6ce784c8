"""Reads what `torch.save` wrote, in each of its two formats, and plain pickles; nothing of a file is ever run."""

import io
import mmap
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from lurk.errors import WeightsError
from lurk.models.weights.misfit import cut
from lurk.models.weights.safe_unpickle import KNOWN, CallError, InertUnpickler, Name, Readable
from lurk.models.weights.saved_tensor import STORAGES, Bytes, Storage

MAX_RATIO, SLACK_BYTES = 2, 64_000_000
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
DAMAGE = (
    RuntimeError,
    OSError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    AssertionError,
    OverflowError,
    MemoryError,
    pickle.UnpicklingError,
    struct.error,
    zipfile.BadZipFile,
)


@contextmanager
def open_pickled(file: Path) -> Iterator[object]:
    """Open a file that `torch.save` or `pickle.dump` wrote.

    Args:
        file: The file.

    Yields:
        What was saved, with a `SavedTensor` for each tensor, whose values are read when they are needed, as long as the
        file is open; and a `Record` for each object that is not known.

    Raises:
        WeightsError: The file is damaged, would run code, is a program, or is far larger when unpacked.
    """
    with ExitStack() as stack:
        with naming_damage(file.name):
            opened = stack.enter_context(file.open("rb"))
            if opened.read(4) == b"PK\x03\x04":
                archive = stack.enter_context(zipfile.ZipFile(file))
                _check_archive(file, archive)
                value = _read_archive(archive)
            else:
                value = _read_stream(stack.enter_context(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)))
        yield value


@contextmanager
def naming_damage(file: str) -> Iterator[None]:
    """Turn whatever a damaged or hostile file causes into a WeightsError that names it."""
    try:
        yield
    except CallError as error:
        raise WeightsError(
            f"--weights: {cut(file)} holds Python objects that would run {cut(str(error))}; such a file is refused; "
            "save the network's state_dict()"
        ) from error
    except DAMAGE as error:
        raise WeightsError(f"--weights: {cut(file)} is damaged or no file of weights") from error


def _check_archive(file: Path, archive: zipfile.ZipFile) -> None:
    """Refuse an archive that would fill the memory when unpacked, and one that holds no weights."""
    entries = archive.infolist()
    unpacked, size = sum(entry.file_size for entry in entries), file.stat().st_size
    if unpacked > MAX_RATIO * size + SLACK_BYTES:
        raise WeightsError(f"--weights: {file.name} has {size:,} bytes and unpacks to {unpacked:,}: refused")
    names = {entry.filename.rpartition("/")[2] for entry in entries}
    if "constants.pkl" in names:
        raise WeightsError(
            f"--weights: {file.name} is a TorchScript program; it goes with --model, or save its state_dict()"
        )
    if "archive_format" in names:
        raise WeightsError(f"--weights: {file.name} is a program of torch.export; save the network's state_dict()")
    if names and all(name.endswith(".npy") for name in names):
        raise WeightsError(f"--weights: {file.name} is an archive of NumPy arrays; write them with torch.save")
    if "data.pkl" not in names:
        some = ", ".join(sorted(names)[:3])
        raise WeightsError(
            f"--weights: {file.name} is an archive of other files ({some}), not the weights of a network"
        )


def _read_archive(archive: zipfile.ZipFile) -> object:
    """The newer format: a zip archive of a pickle and one file for each storage."""
    pickled = next(name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl")
    folder = pickled.removesuffix("data.pkl")
    if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder") != b"little":
        raise ValueError("big-endian")
    known: dict[str, Bytes] = {}

    def storage(reference: Any) -> Storage:
        _, kind, key, *_ = _checked(reference)
        known.setdefault(key, Bytes(partial(archive.read, f"{folder}data/{key}")))
        return Storage(known[key], _element(kind))

    return _unpickled(io.BytesIO(archive.read(pickled)), storage)


def _read_stream(stream: mmap.mmap | io.BytesIO) -> object:
    """The older format: pickles one after the other, then the storages; a file of a single pickle is that pickle."""
    first = _unpickled(stream, _no_storage)
    if first != MAGIC:
        return first
    if _unpickled(stream, _no_storage) != PROTOCOL or not _unpickled(stream, _no_storage)["little_endian"]:
        raise ValueError("another version of the format")
    places: dict[str, tuple[int, int]] = {}
    known: dict[str, Storage] = {}

    def read(key: str) -> bytes:
        start, size = places[key]
        return (
            stream.getvalue()[start : start + size] if isinstance(stream, io.BytesIO) else stream[start : start + size]
        )

    def storage(reference: Any) -> object:
        if isinstance(reference, tuple) and reference and reference[0] == "module":
            return reference[1]
        _, kind, key, _, _, part = _checked(reference)
        whole = known.setdefault(key, Storage(Bytes(partial(read, key)), _element(kind)))
        return whole if part is None else Storage(whole.bytes, whole.dtype, part[1] * _size(whole))

    value = _unpickled(stream, storage)
    for key in _unpickled(stream, _no_storage):
        (count,) = struct.unpack("<q", stream.read(8))
        places[key] = (stream.tell(), count * _size(known[key]))
        stream.seek(places[key][1], io.SEEK_CUR)
    return value


def _unpickled(file: Readable, storage: Callable[[Any], object]) -> Any:
    """What the next pickle of a file holds; the storage of a tensor in a plain pickle is a file inside that pickle."""
    makers = {**KNOWN, "torch.storage._load_from_bytes": lambda data: _read_stream(io.BytesIO(data))}
    return InertUnpickler(file, storage, makers).load()


def _no_storage(_reference: object) -> object:
    raise pickle.UnpicklingError("a reference to something outside of the pickle")


def _checked(reference: Any) -> tuple[Any, ...]:
    """A reference to a storage: its kind, its type, its key, its device, its size, and further numbers."""
    if not isinstance(reference, tuple) or reference[0] != "storage" or not isinstance(reference[1], Name):
        raise pickle.UnpicklingError("a reference to something outside of the file")
    if not isinstance(reference[2], str):
        raise TypeError("a key is to be a text")
    return reference


def _element(kind: Name) -> Any:
    return STORAGES.get(kind.name.rpartition(".")[2])


def _size(storage: Storage) -> int:
    if storage.dtype is None:
        raise ValueError("elements of a type that is not read")
    return storage.dtype.itemsize
