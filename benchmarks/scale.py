"""Large indexes and long sweeps: what they cost to write, to keep and to open, and whether the cost is linear.

python -m benchmarks.scale [--units 30000 200000] [--classes 1000] [--images 1000 10000 100000]

An index is written by the writer of sweeps, from numbers that repeat, with views of noise. Its layers have 2,000 units,
and the last has 8,192. A sweep runs a small network on images that repeat. Each runs in a process of its own.
Times are seconds of the processor (and of the clock where the disk has to be read). All files are removed at the end.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from lurk.config.options import Settings
from lurk.jobs.open_queue import open_local_queue
from lurk.records import LayerInfo, Provenance
from lurk.service.grid_view import SORTS
from lurk.service.service import Service
from lurk.storage.cache_dir import prepare_cache
from lurk.storage.index import Index
from lurk.storage.index_writer import show_in_study, write_index
from lurk.storage.manifest import Manifest
from lurk.storage.quantile_bins import BINS, SIDE
from lurk.storage.render_store import open_renders
from lurk.storage.webp import encode_view
from lurk.web.ui.app import create_app

TOP, IMAGES, SIZE = 9, 512, 224
WIDTH, WIDEST = 2000, 8192
PERIOD = 997
GRID = 14


def disk_bytes(folder: Path) -> int:
    """Bytes that the files of a folder take on the disk."""
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*"))


def peak_bytes() -> int:
    """Largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Repeated:
    """An array of many rows that repeats a few; only the rows that are asked for take memory."""

    def __init__(self, rows: np.ndarray, length: int) -> None:
        self._rows, self._length = rows, length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, part: slice) -> np.ndarray:
        return self._rows[np.arange(*part.indices(self._length)) % len(self._rows)]


def statistics(units: int, classes: int) -> dict[str, Repeated]:
    """What the reducers of a sweep would have seen."""
    chance = np.random.default_rng(0)
    scores = -np.sort(-chance.normal(5, 2, (PERIOD, TOP)), 1).astype(np.float32)
    lists = {"image": chance.integers(0, IMAGES, (PERIOD, TOP)), "position": chance.integers(0, GRID**2, (PERIOD, TOP))}
    counts = np.zeros((PERIOD, BINS), np.int32)
    counts[:, SIDE : SIDE + 200] = chance.poisson(330, (PERIOD, 200))
    rows = {
        f"top_{kind}_{part}": array
        for kind in ("max", "mean")
        for part, array in {
            **{name: numbers.astype(np.int32) for name, numbers in lists.items()},
            **{"score": scores, "before": scores},
        }.items()
    }
    rows |= {
        "classes_moments": chance.random((PERIOD, classes, 2, 2)),
        "distribution_counts": np.tile(np.array([10**8, 10**7, 0]), (PERIOD, 1)),
        "distribution_moments": chance.random((PERIOD, 2)),
        "distribution_range": np.tile(np.array([-1, 9], np.float32), (PERIOD, 1)),
        "sketch_counts": counts,
        "sketch_top": np.full(PERIOD, 2 * SIDE, np.int32),
    }
    state = {name: Repeated(array, units) for name, array in rows.items()}
    return state | {"classes_count": np.full(classes, 100)}


def manifest(units: int, classes: int) -> Manifest:
    """The manifest of a sweep that has not begun: layers of 2,000 units, and a last one of 8,192."""
    provenance = Provenance("hash", "random", "random", "none", "images", "sweep", 1, (("layers", None), ("top", TOP)))
    widths = [WIDTH] * ((units - WIDEST) // WIDTH)
    widths += [units - WIDEST - sum(widths), WIDEST]
    layers = tuple(
        LayerInfo(f"layer{n}", "Conv2d", width, (width, GRID, GRID), (43, 43), (16, 16), "post", grid=(GRID, GRID))
        for n, width in enumerate(widths)
    )
    names = tuple(f"class {number}" for number in range(classes))
    return Manifest(provenance, layers, names, "", "random", IMAGES, (3, SIZE, SIZE), TOP)


@contextmanager
def timed(into: dict[str, float], name: str) -> Iterator[None]:
    """Note the seconds of the processor and of the clock that a block takes."""
    began, clock = time.process_time(), time.monotonic()
    yield
    into[f"{name}, processor s"] = time.process_time() - began
    into[f"{name}, clock s"] = time.monotonic() - clock


def forget(folder: Path) -> None:
    """Have the system forget what it has read of the files of a folder."""
    os.sync()
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb") as opened:
                os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def write(cache: Path, units: int, classes: int, found: dict[str, float]) -> Path:
    """Write a finished index; returns its folder."""
    chance = np.random.default_rng(1)
    with write_index(cache, manifest(units, classes), [(f"{n}.png", n % classes) for n in range(IMAGES)]) as writer:
        for number in range(IMAGES):
            small = chance.integers(0, 256, (SIZE // 8, SIZE // 8, 3), dtype=np.uint8)
            writer.put_view(number, encode_view(small.repeat(8, 0).repeat(8, 1)))
        with timed(found, "finish"):
            writer.finish(statistics(units, classes), done=IMAGES)
    views = disk_bytes(writer.folder / "views")
    found["index without views, MB"] = (disk_bytes(writer.folder) - views) / 1e6
    found["the same, beyond 16 bytes a unit and class, MB"] = found["index without views, MB"] - 16e-6 * units * classes
    found["memory of the writer, MB"] = peak_bytes() / 1e6
    return writer.folder


def resident_mb() -> float:
    """Resident memory of this process now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def read(cache: Path, folder: Path, found: dict[str, float]) -> None:
    """Open the last layer as a browser does, first with nothing of the index in memory, and then again."""
    settings = Settings(model="random", data="random", cache=str(cache))
    show_in_study(cache, settings.study, folder)
    layer = Index(folder).layers[-1].name
    forget(folder)
    service = Service({settings.study: settings}, cache, open_local_queue(cache), open_renders(cache))
    client = create_app(service).server.test_client()
    at = f"/api/v1/studies/{settings.study}/layers/{layer}/units"

    def get(path: str) -> Callable[[], object]:
        return lambda: client.get(path, headers={"Accept-Encoding": "br"}).get_data()

    before = resident_mb()
    with timed(found, "study, first"):
        get(f"/api/v1/studies/{settings.study}")()
    for sort in SORTS:
        with timed(found, f"layer by {sort}, first"):
            get(f"{at}?sort={sort}")()
        with timed(found, f"layer by {sort}, again"):
            get(f"{at}?sort={sort}")()
    with timed(found, "a sprite, first"):
        get(client.get(at).json["sprites"][0])()
    with timed(found, "a unit, first"):
        get(f"{at}/77")()
    found["memory that reading added, MB"] = resident_mb() - before


def index(units: int, classes: int) -> dict[str, float]:
    """Write an index and read it."""
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as cache:
        folder = write(prepare_cache(cache), units, classes, found)
        read(Path(cache), folder, found)
    return found


def sweep(images: int) -> dict[str, float]:
    """Sweep a small network over images that repeat."""
    import torch
    from torch import nn
    from torchvision import transforms

    import lurk

    torch.set_num_threads(1)
    torch.manual_seed(0)
    samples = torch.rand(PERIOD, 3, 32, 32)

    class Repeating(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return images

        def __getitem__(self, number: int) -> tuple[torch.Tensor, int]:
            return samples[number % PERIOD], number % 10

    network = nn.Sequential(
        *(nn.Conv2d(3, 16, 3, stride=2), nn.ReLU(), nn.Conv2d(16, 32, 3, stride=2), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)),
    )
    preprocess = transforms.Compose([transforms.Resize((32, 32)), transforms.ToTensor()])
    model = lurk.load_model(network.eval(), preprocess=preprocess)
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as cache:
        before = peak_bytes()
        with timed(found, "sweep"):
            lurk.sweep(model, lurk.load_images(Repeating()), cache=cache)
        found["memory that the sweep added, MB"] = (peak_bytes() - before) / 1e6
        found["cache, MB"] = disk_bytes(Path(cache)) / 1e6
    found["processor ms an image"] = found["sweep, processor s"] / images * 1e3
    return found


def apart(*words: object) -> dict[str, float]:
    """Run a part in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.scale", "--one", *map(str, words)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def table(title: str, columns: dict[str, dict[str, float]]) -> None:
    """Print a table, a column for each run."""
    print(f"\n{title:48}" + "".join(f"{name:>16}" for name in columns))
    for row in next(iter(columns.values())):
        print(f"{row:48}" + "".join(f"{column[row]:16,.3f}" for column in columns.values()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, nargs="*", default=[30_000, 200_000])
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--images", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    parser.add_argument("--one", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        kind, *numbers = given.one
        print(json.dumps({"index": index, "sweep": sweep}[kind](*map(int, numbers))))
        return
    if given.units:
        runs = {f"{units:,} units": apart("index", units, given.classes) for units in given.units}
        table(f"Index of {given.classes:,} classes", runs)
    if given.images:
        table("Sweep of a small network", {f"{n:,} images": apart("sweep", n) for n in given.images})


if __name__ == "__main__":
    main()
