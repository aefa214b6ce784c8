"""How an index is written: manifest first, then checkpoint after checkpoint. It stays readable if the writer is killed.

A checkpoint is a new generation folder, flushed to disk before the manifest is put in its place to point to it; the
generation before stays for readers that have it open.
"""

import json
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from filelock import FileLock, Timeout

from lurk.errors import BusyError, CacheError, IndexFormatError
from lurk.records import printable
from lurk.storage.atomic_files import replace_file, write_file
from lurk.storage.class_profile import rounded_profile
from lurk.storage.index import Index
from lurk.storage.manifest import (
    FORMAT,
    Manifest,
    generation_folder,
    index_folder,
    read_manifest,
    shard_folder,
    study_file,
    view_file,
)
from lurk.storage.npy_file import Array, Conversion, StoredArray, stored_arrays, write_array
from lurk.storage.quantile_bins import packed

KEPT = ("sweep.lock", "results")
ROWS = 1024


class IndexWriter:
    """The one writer of an index or of a shard; made by `write_index` or `write_shard`, which hold the lock.

    Args:
        folder: Folder of the index or shard.
        manifest: How far an earlier run came.
        views: Folder of the index, for the views of a shard's images; by default `folder`.
    """

    def __init__(self, folder: Path, manifest: Manifest, views: Path | None = None) -> None:
        self.folder, self._views = folder, views or folder
        self.manifest = manifest

    def begin_anew(self) -> None:
        """Forget the last checkpoint; readers see it until the next one."""
        self.manifest = replace(self.manifest, done=0, skipped=(), shards=1)

    def load(self) -> dict[str, StoredArray]:
        """The arrays of the last checkpoint; empty if there is none to go on from."""
        if not (self.manifest.generation and self.manifest.done):
            return {}
        return stored_arrays(generation_folder(self.folder, self.manifest.generation))

    def checkpoint(self, state: Mapping[str, Array], **progress: Any) -> None:
        """Publish what the reducers have seen, so that a later run can go on from there.

        Args:
            state: Arrays by `<reducer>_<array>`, units first.
            **progress: What changes in the manifest: `done`, `complete`, `skipped`, `shards`.
        """
        self._publish({name: (array, np.asarray) for name, array in state.items()}, progress)

    def finish(self, state: Mapping[str, Array], **progress: Any) -> None:
        """Publish the finished index, to which nothing is added: class profiles in float32, sketches packed.

        Args:
            state: Arrays by `<reducer>_<array>`, units first.
            **progress: What else changes in the manifest: `done`, `skipped`, `shards`.
        """
        parts: dict[str, tuple[Array, Conversion]] = {name: (array, np.asarray) for name, array in state.items()}
        moments, _ = parts.pop("classes_moments")
        parts["classes_profile"] = (moments, partial(rounded_profile, count=state["classes_count"]))
        counts, _ = parts.pop("sketch_counts")
        sketches = [packed(row) for first in range(0, len(counts), ROWS) for row in counts[first : first + ROWS]]
        parts["sketch_starts"] = (np.cumsum([0, *map(len, sketches)]), np.asarray)
        parts["sketch_packed"] = (np.frombuffer(b"".join(sketches), np.uint8), np.asarray)
        self._publish(parts, {**progress, "complete": True})

    def _publish(self, parts: Mapping[str, tuple[Array, Conversion]], progress: Mapping[str, Any]) -> None:
        """Write each array, converted slice by slice, as the next generation, and let the manifest point to it."""
        number = self.manifest.generation + 1
        folder = generation_folder(self.folder, number)
        shutil.rmtree(folder, ignore_errors=True)
        try:
            folder.mkdir()
            for name, (array, convert) in parts.items():
                with replace_file(folder / f"{name}.npy", is_synced=True) as file:
                    write_array(file, array, convert)
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)  # half a checkpoint would keep a full disk full
            raise
        self.manifest = replace(self.manifest, generation=number, **progress)
        _write_manifest(self.folder, self.manifest)
        self._drop_earlier(number)

    def _drop_earlier(self, number: int) -> None:
        """Keep the last two generations; once complete, keep of the earlier one only what `Index.best` reads."""
        for old in self.folder.glob("generation-*"):
            if int(old.name.rpartition("-")[2]) not in (number, number - 1):
                shutil.rmtree(old, ignore_errors=True)
        if self.manifest.complete:
            for file in generation_folder(self.folder, number - 1).glob("*.npy"):
                if not file.name.startswith(("top_max_", "distribution_")):
                    file.unlink(missing_ok=True)

    def put_view(self, image: int, data: bytes) -> None:
        """Keep the preprocessed view of an image."""
        file = view_file(self._views, image)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_file(file, data)

    def keep_views(self, images: Iterable[int]) -> None:
        """Remove the views of all images but these."""
        kept = set(images)
        for file in (self._views / "views").glob("*/*"):
            if not file.stem.isdecimal() or int(file.stem) not in kept:  # else left behind by a kill
                file.unlink(missing_ok=True)


@contextmanager
def write_index(cache: Path, manifest: Manifest, images: Iterable[tuple[str, int | None]]) -> Iterator[IndexWriter]:
    """Open an index for writing: the one in the cache, or a new one.

    Args:
        cache: The cache directory.
        manifest: What a new index begins with; its provenance is the index's identity.
        images: (path, label) of every image, in the image set's order.

    Yields:
        The writer. Its manifest says how far an earlier sweep came.

    Raises:
        CacheError: The cache cannot be written.
        BusyError: Another process is sweeping into the same index.
    """
    folder = index_folder(cache, manifest.provenance.key)
    with _locked(folder):
        try:
            manifest = Index(folder).open_all().manifest
        except IndexFormatError as error:
            notice = _set_aside(folder, error)
            manifest = replace(manifest, notice="; ".join(part for part in (manifest.notice, notice) if part))
            _begin(folder, manifest, images)
        yield IndexWriter(folder, manifest)


@contextmanager
def write_shard(index: Path, name: str, manifest: Manifest) -> Iterator[IndexWriter]:
    """Open a shard of an index for writing: the one in its folder, or a new one.

    Args:
        index: Folder of the index.
        name: Name of the shard.
        manifest: What a new shard begins with.

    Yields:
        The writer. Its manifest says how far an earlier run came.

    Raises:
        CacheError: The cache cannot be written.
        BusyError: Another process is sweeping the same shard.
    """
    folder = shard_folder(index, name)
    with _locked(folder):
        try:
            manifest = read_manifest(folder)
        except IndexFormatError:
            _write_manifest(folder, manifest)
        yield IndexWriter(folder, manifest, index)


def drop_shards(index: Path) -> None:
    """Remove the shards of an index."""
    shutil.rmtree(index / "shards", ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Make a folder if it does not exist, and hold its lock."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CacheError(
            f"cannot write to the cache {str(folder)!r}: {error.strerror}; choose another with --cache"
        ) from error
    lock = FileLock(folder / "sweep.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise BusyError(
            f"another process is sweeping into {str(folder)!r}; wait for it, or choose another --cache"
        ) from error
    try:
        yield
    finally:
        lock.release()


def show_in_study(cache: Path, study: str, folder: Path, made_with: Mapping[str, object] | None = None) -> None:
    """Make a study show the index in a folder from now on.

    Args:
        cache: The cache directory.
        study: Name of the study.
        folder: Folder of the index.
        made_with: What `staleness.made_with` gave when its sweep began; None if that is not known.
    """
    file = study_file(cache, study)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_file(file, json.dumps({"index": folder.name, "made_with": made_with}), is_synced=True)


def _set_aside(folder: Path, error: IndexFormatError) -> str:
    """Move a damaged index aside. The results of methods stay: each of them says itself whether it is whole.

    Args:
        folder: The folder, locked.
        error: What is wrong with it.

    Returns:
        The notice for the page; empty if there was no index.
    """
    if not (folder / "manifest.json").exists():
        return ""
    aside = folder.with_name(f"{folder.name}.damaged-{time.time_ns()}")
    aside.mkdir(mode=0o700)
    for part in folder.iterdir():
        if part.name not in KEPT:
            part.rename(aside / part.name)
    reason = str(error).replace(str(folder), "it").partition(";")[0]
    return (
        f"an index of this study could not be read ({reason}); it was set aside as index/{aside.name} and is made anew"
    )


def _begin(folder: Path, manifest: Manifest, images: Iterable[tuple[str, int | None]]) -> None:
    """Write an empty index in place of whatever is in the folder; the manifest comes last."""
    for old in folder.iterdir():
        if old.is_dir() and old.name not in KEPT:
            shutil.rmtree(old)
    starts = [0]
    with replace_file(folder / "images.jsonl", is_synced=True) as file:
        for path, label in images:
            starts.append(
                starts[-1] + file.write(orjson.dumps([printable(path), label], option=orjson.OPT_APPEND_NEWLINE))
            )
    with replace_file(folder / "images_at.npy", is_synced=True) as file:
        write_array(file, np.array(starts, np.int64))
    (folder / "views").mkdir(exist_ok=True)
    _write_manifest(folder, manifest)


def _write_manifest(folder: Path, manifest: Manifest) -> None:
    value = {"format": FORMAT} | asdict(manifest)
    text = printable(json.dumps(value, indent=1, ensure_ascii=False))
    write_file(folder / "manifest.json", text, is_synced=True)


def open_index(cache: Path, manifest: Manifest) -> Index | None:
    """The finished index of that provenance, None if there is none yet."""
    folder = index_folder(cache, manifest.provenance.key)
    try:
        if not read_manifest(folder).complete:
            return None
        return Index(folder).open_all()
    except IndexFormatError:
        return None
