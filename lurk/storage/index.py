"""How an index is read: memory-mapped, so that a unit costs the reading of its own rows only.

Axes: u units, k hits, y classes.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import orjson

from lurk.errors import IndexFormatError, LayerError, expect, whole_number
from lurk.records import Floats, Hit, Ints, LayerInfo, UnitRecord, UnitState
from lurk.storage.best_hits import Best
from lurk.storage.class_profile import best_class, class_profile, selectivity
from lurk.storage.manifest import generation_folder, read_manifest, view_file
from lurk.storage.npy_file import Array
from lurk.storage.quantile_bins import SIDE, Counts, bin_edges, quantiles, unpacked
from lurk.storage.unit_state import Seen, are_constant, seen_units

PROBABILITIES = (0.0, 0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 1.0)
SMALL_BYTES, BLOCK = 4096, 256

ARRAYS = (
    *(f"top_{kind}_{part}" for kind in ("max", "mean") for part in ("image", "score", "before", "position")),
    *("classes_count", "distribution_counts", "distribution_moments", "distribution_range"),
    "sketch_top",
)
FINISHED, UNFINISHED = ("classes_profile", "sketch_starts", "sketch_packed"), ("classes_moments", "sketch_counts")

Kind = Literal["max", "mean"]


class Index:
    """A study's results as of one checkpoint; a sweep that goes on does not change what an open index shows.

    >>> Index(Path("cache/index/0123")).unit("layer1.0.conv1", 12).hits_max[0].score  # doctest: +SKIP
    3.25
    """

    def __init__(self, folder: Path) -> None:
        """Open an index.

        Args:
            folder: Its folder, `<cache>/index/<key>`.

        Raises:
            IndexFormatError: The folder holds no index of this format.
        """
        self.folder = folder
        self.manifest = read_manifest(folder)
        self.key = folder.name
        self._arrays: dict[str, Array] = {}
        self._best_classes: dict[str, Ints] = {}
        ends = np.cumsum([layer.units for layer in self.manifest.layers]).tolist()
        self._layers = {
            layer.name: (layer, slice(end - layer.units, end))
            for layer, end in zip(self.manifest.layers, ends, strict=True)
        }

    @property
    def layers(self) -> list[LayerInfo]:
        """The layers, in the order of the forward pass."""
        return list(self.manifest.layers)

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Class names, None if the image set has no classes."""
        return self.manifest.classes

    def layer(self, name: str) -> LayerInfo:
        """The layer of that name; LayerError if there is none."""
        return self._place(name)[0]

    def _place(self, name: str) -> tuple[LayerInfo, slice]:
        """A layer and the rows of its units."""
        expect(name, str, "a layer is given by its name")
        if name not in self._layers:
            some = ", ".join(list(self._layers)[:8])
            raise LayerError(f"no layer {name!r} in this study; its layers are {some}{', …' * (len(self._layers) > 8)}")
        return self._layers[name]

    def array(self, name: str) -> Array:
        """An array of a reducer, memory-mapped, units first; it is called `<reducer>_<array>`."""
        if name not in self._arrays:
            file = generation_folder(self.folder, self.manifest.generation) / f"{name}.npy"
            try:
                mode: Literal["r"] | None = "r" if file.stat().st_size > SMALL_BYTES else None
                self._arrays[name] = np.load(file, mmap_mode=mode, allow_pickle=False)
            except (OSError, ValueError, EOFError) as error:
                raise IndexFormatError(
                    f"{file} cannot be read ({error}); open the index again, or sweep again"
                ) from error
        return self._arrays[name]

    def open_all(self) -> "Index":
        """Map every array now, so that a later checkpoint, which removes the files, does not disturb this reader.

        Returns:
            The index itself; the newer one if a checkpoint has replaced it since it was opened.

        Raises:
            IndexFormatError: A part is missing, cut short, or not of the size that the manifest says.
        """
        try:
            self._check_arrays()
        except IndexFormatError:
            if read_manifest(self.folder).generation == self.manifest.generation:
                raise
            return Index(self.folder).open_all()
        self._check_images()
        return self

    def _check_arrays(self) -> None:
        if self.manifest.generation:
            for name in (*ARRAYS, *(FINISHED if self.manifest.complete else UNFINISHED)):
                if len(self.array(name)) != self._rows(name):
                    raise IndexFormatError(f"{self.folder} holds {name} of another size; sweep again to replace it")

    def _rows(self, name: str) -> int:
        """Number of rows that an array must have."""
        units = sum(layer.units for layer in self.manifest.layers)
        if name == "sketch_packed":
            return int(self.array("sketch_starts")[-1])
        return {"classes_count": len(self.manifest.classes or ()), "sketch_starts": units + 1}.get(name, units)

    def _check_images(self) -> None:
        try:
            starts, size = self._image_starts, (self.folder / "images.jsonl").stat().st_size
            is_whole = len(starts) == self.manifest.images + 1 and int(starts[-1]) == size
        except (OSError, ValueError, TypeError, IndexError) as error:
            raise IndexFormatError(
                f"{self.folder} has no list of images ({error}); sweep again to replace it"
            ) from error
        if not is_whole:
            raise IndexFormatError(f"the list of images in {self.folder} is cut short; sweep again to replace it")

    def before(self) -> "Index | None":
        """The index as of the checkpoint before this one, None if there is none; once finished, only for `best`."""
        number = self.manifest.generation - 1
        if number < 1 or not generation_folder(self.folder, number).is_dir():
            return None
        earlier = Index(self.folder)
        earlier.manifest = replace(self.manifest, generation=number)
        return earlier

    def image(self, number: int) -> tuple[str, int | None]:
        """Path and label of an image."""
        starts = self._image_starts
        with (self.folder / "images.jsonl").open("rb") as lines:
            lines.seek(int(starts[number]))
            path, label = orjson.loads(lines.readline())
        return str(path), label

    @cached_property
    def _image_starts(self) -> Array:
        loaded: Array = np.load(self.folder / "images_at.npy", mmap_mode="r", allow_pickle=False)
        return loaded

    def view_file(self, image: int) -> Path:
        """WebP file of the preprocessed view of a hit image."""
        return view_file(self.folder, image)

    def unit(self, layer: str, unit: int) -> UnitRecord:
        """All that is known of one unit.

        Args:
            layer: Name of the layer.
            unit: Channel number.

        Returns:
            The record. Its lists are empty before the first checkpoint.

        Raises:
            LayerError: There is no such layer, or it has no such unit.
        """
        (info, rows), unit = self._place(layer), whole_number(unit, "a unit")
        if not 0 <= unit < info.units:
            raise LayerError(f"layer {layer!r} has no unit {unit}; its units are 0 to {info.units - 1}")
        if not self.manifest.generation:
            return _unseen(layer, unit)
        row = rows.start + unit
        seen = self._seen(slice(row, row + 1))[0]
        mean, std = self._moments(row, seen.count)
        hits_max = () if seen.is_constant else self._hits(info, "max", row)
        classes = self._profile(slice(row, row + 1))[0]
        return UnitRecord(
            layer=layer,
            unit=unit,
            hits_max=hits_max,
            hits_mean=() if seen.is_constant else self._hits(info, "mean", row),
            class_count=np.array(self.array("classes_count"), np.int64),
            class_max=classes[:, 0, 0],
            class_mean=classes[:, 1, 0],
            class_max_std=classes[:, 0, 1],
            class_mean_std=classes[:, 1, 1],
            count=seen.count,
            mean=mean,
            std=std,
            fraction_positive=seen.positive / seen.count if seen.count else math.nan,
            quantiles=self._quantiles(row),
            state=seen.state(rectified=info.rectified),
        )

    def _seen(self, rows: slice) -> list[Seen]:
        return seen_units(*(self.array(f"distribution_{part}")[rows].tolist() for part in ("counts", "range")))

    def _moments(self, row: int, count: int) -> tuple[float, float]:
        """Mean and standard deviation over all positions of all images."""
        mean, squares = self.array("distribution_moments")[row].tolist()
        return (mean, math.sqrt(squares / count)) if count else (math.nan, math.nan)

    def _hits(self, info: LayerInfo, kind: Kind, row: int) -> tuple[Hit, ...]:
        parts = (self.array(f"top_{kind}_{part}")[row].tolist() for part in ("image", "score", "before", "position"))
        hits = []
        for image, score, value, position in zip(*parts, strict=True):
            if image >= 0:
                path, label = self.image(image)
                spot = divmod(position, info.grid[1])
                box = info.box(spot[0], spot[1], self.manifest.input_shape[1:])
                before = None if math.isnan(value) else value
                hits.append(Hit(image, path, label, score, spot[0], spot[1], box, before))
        return tuple(hits)

    def _profile(self, rows: slice) -> Floats:
        """Class profiles of consecutive units, as `class_profile` gives them."""
        if self.manifest.complete:
            return np.asarray(self.array("classes_profile")[rows], np.float64)
        return class_profile(self.array("classes_moments")[rows], self.array("classes_count"))

    def _quantiles(self, row: int) -> dict[float, float]:
        counts, top = self._counts(row), int(self.array("sketch_top")[row])
        highest = float(np.nan_to_num(self.array("top_max_score")[row, 0], nan=math.inf))
        return dict(zip(PROBABILITIES, quantiles(counts, top, PROBABILITIES, highest), strict=True))

    def _counts(self, row: int) -> Counts:
        """Counts of the sketch of a unit, int32 (BINS,)."""
        if not self.manifest.complete:
            return np.asarray(self.array("sketch_counts")[row])
        start, end = self.array("sketch_starts")[row : row + 2].tolist()
        try:
            return unpacked(self.array("sketch_packed")[start:end].tobytes())
        except ValueError as error:
            raise IndexFormatError(
                f"{self.folder} holds a damaged sketch ({error}); sweep again to replace it"
            ) from error

    def sketch(self, layer: str, unit: int) -> tuple[Floats, Floats]:
        """The bins in which a unit's values were counted; values of exactly 0 are in one whose edges are both 0.

        Args:
            layer: Name of the layer.
            unit: Channel number.

        Returns:
            Edges float64 (bins + 1,) and counts float64 (bins,); both empty before the first checkpoint.
        """
        if not self.manifest.generation:
            return np.zeros(0), np.zeros(0)
        row = self._place(layer)[1].start + unit
        edges = bin_edges(int(self.array("sketch_top")[row]))
        edges[SIDE] = edges[SIDE + 1] = 0.0
        return edges, np.asarray(self._counts(row), np.float64)

    def best(self, layer: str) -> Best:
        """The best hit by the spatial max of each unit of a layer."""
        info, rows = self._place(layer)
        if not self.manifest.generation:
            return Best.none(info.units)
        hits = {part: self.array(f"top_max_{part}")[rows, 0] for part in ("image", "score", "before", "position")}
        seen = (self.array(f"distribution_{part}")[rows] for part in ("counts", "range"))
        return Best.of(hits, info.grid[1], are_constant(*seen))

    def states(self, layer: str) -> list[UnitState]:
        """State of each unit of a layer."""
        info, rows = self._place(layer)
        if not self.manifest.generation:
            return ["ok"] * info.units
        return [seen.state(rectified=info.rectified) for seen in self._seen(rows)]

    def fraction_positive(self, layer: str) -> Floats:
        """Share of positions above 0 of each unit, float64 (u,), NaN before the first checkpoint."""
        info, rows = self._place(layer)
        if not self.manifest.generation:
            return np.full(info.units, np.nan)
        counts = np.asarray(self.array("distribution_counts")[rows], np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            return counts[:, 1] / counts[:, 0]

    def selectivity(self, layer: str) -> Floats:
        """Selectivity index of each unit's class means of the spatial max, float64 (u,); see `class_profile`."""
        if not self.manifest.generation:
            return np.full(self.layer(layer).units, np.nan)
        return np.concatenate([selectivity(means) for means in self._class_means(layer)])

    def best_class(self, layer: str) -> Ints:
        """The class with the highest mean of the spatial max, int64 (u,); -1 if none or several have it."""
        if not self.manifest.generation:
            return np.full(self.layer(layer).units, -1)
        if layer not in self._best_classes:  # each look at a layer asks, and reading its class profiles takes long
            self._best_classes[layer] = np.concatenate([best_class(means) for means in self._class_means(layer)])
        return self._best_classes[layer]

    def _class_means(self, layer: str) -> Iterator[Floats]:
        """The class means of the spatial max of a layer's units, float64 (u, y) a block."""
        _, rows = self._place(layer)
        for first in range(rows.start, rows.stop, BLOCK):
            yield self._profile(slice(first, min(first + BLOCK, rows.stop)))[:, :, 0, 0]


def _unseen(layer: str, unit: int) -> UnitRecord:
    """The record of a unit before the first checkpoint."""
    none, nan = np.zeros(0), math.nan
    return UnitRecord(layer, unit, (), (), np.zeros(0, np.int64), none, none, none, none, 0, nan, nan, nan, {}, "ok")
