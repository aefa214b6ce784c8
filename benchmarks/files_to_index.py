"""From image files to a finished index, beside the plain loop that people write: forward passes of a `DataLoader`.

The loop has batches of 32 and all defaults. Each side runs in a process of its own, and they take turns. The model is
loaded before the clock starts; everything else counts, from listing the folder to the last file of the index. Then it
says where the sweep's time goes: the CPU time of the threads that read, and the time of the main thread.

python -m benchmarks.files_to_index PHOTOS [--images 200] [--rounds 3] [--models resnet18 efficientnet_lite0]
"""

import argparse
import contextlib
import functools
import multiprocessing
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

import lurk
from benchmarks.performance.photographs import link_some
from lurk.models.model import Model
from lurk.models.preprocess import Preprocess
from lurk.sweeps import sweep, sweep_loop
from lurk.sweeps.measurement import Measurement
from lurk.sweeps.passes import Pass
from lurk.worker.memory import keep_freed_memory

IN_THREADS = ("decode", "preprocess", "views")
Times = Counter[str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("photos", type=Path, help="a folder with a sub-folder per class")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", nargs="+", default=["resnet18", "efficientnet_lite0"])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "photos"
        count = link_some(given.photos, given.images, folder)
        for name in given.models:
            sides = {side: _start(side, name, folder) for side in (_plain, _swept)}
            rounds = [{side: _turn(pipe) for side, pipe in sides.items()} for _ in range(given.rounds + 1)][1:]
            for pipe in sides.values():
                pipe.send(False)
            _report(name, count, [each[_plain] for each in rounds], [each[_swept] for each in rounds])


def _start(side: Callable[..., Times], name: str, folder: Path) -> Connection:
    """Start the process of a side."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    context.Process(target=_serve, args=(side, name, folder, theirs), daemon=True).start()
    return ours


def _turn(pipe: Connection) -> Times:
    """Let a side run once: seconds by what they went to, `wall` and `CPU` among them."""
    pipe.send(True)
    times: Times = pipe.recv()
    return times


def _serve(side: Callable[..., Times], name: str, folder: Path, pipe: Connection) -> None:
    while pipe.recv():
        model = lurk.load_model(name, weights=None if name == "efficientnet_lite0" else "random")
        began, cpu = time.perf_counter(), time.process_time()
        times = side(model, folder)
        times.update(wall=time.perf_counter() - began, CPU=time.process_time() - cpu)
        pipe.send(times)


def _plain(model: Model, folder: Path) -> Times:
    prepared = model.preprocess
    assert isinstance(prepared, Preprocess)
    transform = transforms.Compose(
        [
            transforms.Resize(prepared.resize, transforms.InterpolationMode(prepared.interpolation)),
            transforms.CenterCrop(prepared.crop),
            transforms.ToTensor(),
            transforms.Normalize(prepared.mean, prepared.std),
        ]
    )
    network = model.module.eval()
    with torch.no_grad():
        for images, _ in DataLoader(ImageFolder(str(folder), transform), batch_size=32):
            network(images)
    return Counter()


def _swept(model: Model, folder: Path) -> Times:
    keep_freed_memory()
    times: Times = Counter()
    with tempfile.TemporaryDirectory() as cache, _watched(times, model):
        lurk.sweep(model, lurk.load_images(folder), cache=cache)
    return times


@contextlib.contextmanager
def _watched(times: Times, model: Model) -> Iterator[None]:
    """Measure the parts of a sweep."""
    parts: tuple[tuple[Any, str, str], ...] = (
        (lurk.images.image_set.ImageSet, "read", "decode"),
        (model, "preprocess", "preprocess"),
        (sweep_loop._Run, "_keep_view", "views"),
        (sweep, "describe", "planning and hash"),
        (Pass, "run", "forward"),
        (sweep_loop._Run, "_write", "checkpoints"),
        (Measurement, "receive", "measure"),
        (Measurement, "receive_before", "measure"),
        (Measurement, "receive_uncut", "measure"),
        (Measurement, "end", "measure"),
        (sweep_loop._Run, "_count", "reducers"),
    )
    with contextlib.ExitStack() as stack:
        for owner, name, part in parts:
            stack.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, _timed(getattr(owner, name), part, times))
        yield
    times["forward"] -= times["measure"]


def _timed(function: Callable[..., Any], part: str, times: Times) -> Callable[..., Any]:
    clock = time.thread_time if part in IN_THREADS else time.perf_counter

    @functools.wraps(function)
    def timed(*given: Any, **options: Any) -> Any:
        began = clock()
        try:
            return function(*given, **options)
        finally:
            times[part] += clock() - began

    return timed


def _report(name: str, count: int, plain: list[Times], swept: list[Times]) -> None:
    print(f"{name}, {count} photographs, {torch.get_num_threads()} threads, medians of {len(plain)} rounds")
    for side, rounds in (("plain loop", plain), ("sweep", swept)):
        wall, cpu = (statistics.median(each[part] for each in rounds) for part in ("wall", "CPU"))
        print(f"  {side:20}{wall:8.2f} s{cpu:8.2f} s of CPU{count / wall:8.1f} images/s")
    for part in ("wall", "CPU"):
        ratios = [one[part] / other[part] for one, other in zip(swept, plain, strict=True)]
        print(
            f"  {f'ratio, {part}':20}{statistics.median(ratios):8.2f}   (from {min(ratios):.2f} to {max(ratios):.2f})"
        )
    wall = statistics.median(each["wall"] for each in swept)
    for part in [part for part in swept[0] if part not in ("wall", "CPU")]:
        seconds = statistics.median(each[part] for each in swept)
        where = "in threads" if part in IN_THREADS else ""
        print(f"  {part:20}{seconds:8.2f} s{100 * seconds / wall:7.0f} % {where}")


if __name__ == "__main__":
    main()
