"""What the statistics of a network cost: memory of the sweep, and bytes of a checkpoint and of the finished index.

python -m benchmarks.index_size [--units 23032] [--classes 1000] [--top 9]

No network runs: batches are random. The default is the bundled network with the classes of ImageNet.
"""

import argparse
import tempfile
from pathlib import Path

import torch

from benchmarks.scale import disk_bytes, peak_bytes
from lurk.records import LayerInfo, Provenance
from lurk.storage.index import Index
from lurk.storage.index_writer import write_index
from lurk.storage.manifest import Manifest
from lurk.sweeps.kernels.maps import bin_numbers
from lurk.sweeps.reducers import Batch
from lurk.sweeps.statistics import Statistics

BATCHES, BATCH, LAYER = 4, 16, 512


def random_batch(number: int, units: int, classes: int) -> Batch:
    """A batch of 16 images, as layers of 512 units would give it."""
    scores = torch.randn(BATCH, units, generator=torch.Generator().manual_seed(number))
    images = torch.arange(BATCH) + number * BATCH
    ones = torch.ones(BATCH, units, dtype=torch.int32)
    return Batch(
        images=images,
        labels=images * 7 % classes,
        maximum=scores,
        position=torch.zeros(BATCH, units, dtype=torch.int32),
        mean=scores.double() / 2,
        squares=scores.double() ** 2,
        before=scores,
        before_mean=scores / 2,
        lowest=scores - 1,
        positive=ones,
        bounded=ones,
        positions=torch.full((units,), 49),
        drawn=tuple(bin_numbers(layer)[:, :, None] for layer in scores.split(LAYER, 1)),
    )


def empty_manifest(units: int, classes: int, top: int) -> Manifest:
    """The manifest of a sweep that has not begun."""
    provenance = Provenance("hash", "random", "random", "none", "images", "sweep", 1, (("layers", None), ("top", top)))
    layer = LayerInfo("all", "Conv2d", units, (units, 7, 7), None, None, "post", grid=(7, 7))
    names = tuple(f"class {number}" for number in range(classes))
    return Manifest(provenance, (layer,), names, "", "random", BATCHES * BATCH, (3, 224, 224), top)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", type=int, default=23_032)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--top", type=int, default=9)
    given = parser.parse_args()
    manifest = empty_manifest(given.units, given.classes, given.top)
    rows: list[tuple[str, float]] = []
    with tempfile.TemporaryDirectory() as cache:
        entries = [(f"{number}.png", number * 7 % given.classes) for number in range(BATCHES * BATCH)]
        for number in range(BATCHES):
            random_batch(number, given.units, given.classes)
        before = peak_bytes()
        statistics = Statistics.for_index(manifest)
        for number in range(BATCHES):
            statistics.add(random_batch(number, given.units, given.classes))
        state = statistics.state()
        rows.append(("class moments, in memory", state["classes_moments"].nbytes))
        rows.append(("all arrays, in memory", sum(array.nbytes for array in state.values())))
        with write_index(Path(cache), manifest, entries) as writer:
            rows.append(("memory added by the sweep", peak_bytes() - before))
            writer.checkpoint(state, done=BATCHES * BATCH)
            rows.append(("the same, with a checkpoint", peak_bytes() - before))
            rows.append(("a checkpoint, on disk", disk_bytes(writer.folder)))
            del statistics, state
            resumed = Statistics.for_index(manifest)
            resumed.merge(writer.load())
            rows.append(("the same, resumed meanwhile", peak_bytes() - before))
            writer.finish(resumed.state(), done=BATCHES * BATCH)
            rows.append(("finished index, on disk", disk_bytes(writer.folder)))
        Index(writer.folder).open_all()
    print(f"{given.units:,} units, {given.classes:,} classes, top {given.top}")
    for name, size in rows:
        print(f"{name:30}{size / 1e6:8.1f} MB{size / given.units / given.classes:8.1f} bytes a unit and class")


if __name__ == "__main__":
    main()
