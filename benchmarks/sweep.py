"""The sweep beside the bare forward pass on the same batches, interleaved; prints the ratio, or each part's share.

python -m benchmarks.sweep [--model resnet18 efficientnet_lite0 vgg16] [--images 64] [--rounds 5] [--parts]
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable
from typing import TypeVar

import torch

import lurk
from lurk.graph.faster.folding import folded
from lurk.graph.hooks import tapped
from lurk.sweeps.measurement import Measurement
from lurk.sweeps.statistics import Statistics
from lurk.worker.memory import keep_freed_memory

Result = TypeVar("Result")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", nargs="+", default=["resnet18", "efficientnet_lite0", "vgg16"])
    parser.add_argument("--weights")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--classes", type=int, default=40)
    parser.add_argument("--parts", action="store_true", help="print what share of a bare pass each part takes")
    given = parser.parse_args()
    for name in given.model:
        print(f"{name}, {torch.get_num_threads()} threads, {given.images} images, batch {given.batch}")
        if given.parts:
            print_parts(name, given.weights, given.rounds, given.batch, given.classes)
        else:
            print_ratio(
                given.rounds,
                given.images,
                *bare_and_swept(name, given.weights, given.images, given.batch, given.classes),
            )


def print_ratio(rounds: int, images: int, bare: Callable[[], None], swept: Callable[[], None]) -> None:
    """Print the images a second of both, and the ratio of their times."""
    ratios, rates = [], []
    bare(), swept()
    for _ in range(rounds):
        began = time.perf_counter()
        bare()
        middle = time.perf_counter()
        swept()
        ended = time.perf_counter()
        ratios.append((ended - middle) / (middle - began))
        rates.append((images / (middle - began), images / (ended - middle)))
    print(f"{'bare forward':16}{statistics.median(rate for rate, _ in rates):8.1f} images/s")
    print(f"{'forward + sweep':16}{statistics.median(rate for _, rate in rates):8.1f} images/s")
    print(f"{'ratio':16}{statistics.median(ratios):8.2f} (from {min(ratios):.2f} to {max(ratios):.2f})")


def print_parts(name: str, weights: str | None, rounds: int, batch_size: int, classes: int) -> None:
    """Print the CPU time of each part of a batch as a share of a bare forward pass, medians of interleaved rounds."""
    keep_freed_memory()
    model = lurk.load_model(name, weights=weights)
    plan = model.plan()
    measurement, batch = Measurement(plan.layers, 1000), torch.randn(batch_size, *plan.input_shape)
    totals, labels, times = Statistics(measurement.units, 9, classes), torch.arange(batch_size) % classes, {}

    def timed(part: str, run: Callable[..., Result], *values: object) -> Result:
        began = time.process_time()
        found = run(*values)
        times.setdefault(part, []).append(time.process_time() - began)
        return found

    def nothing(*_: object) -> None:
        """Measure nothing."""

    silent = tapped(folded(plan), nothing, nothing, receive_uncut=nothing, to_the_end=False)
    with torch.inference_mode(), silent as tapped_pass, measurement.tapped(plan) as measured_pass:
        for number in range(rounds + 1):
            measurement.begin(torch.arange(batch_size) + number * batch_size)
            timed("bare", model.module, batch)
            timed("taps that do nothing", tapped_pass, batch)
            timed("taps and kernel", measured_pass, batch)
            timed("NaN and infinity", measurement.unusable)
            found = timed("layers side by side", measurement.batch, labels)
            for part, reducer in totals.reducers.items():
                timed(part, reducer.add, found)
    bare = times.pop("bare")
    for part, spent in times.items():
        beyond = 1 if part.startswith("taps") else 0
        shares = [mine / whole - beyond for mine, whole in zip(spent[1:], bare[1:], strict=True)]
        least = min(spent[1:]) / min(bare[1:]) - beyond
        print(f"{part:22}{statistics.median(shares):+8.3f} of a bare pass (least {least:+.3f})")


def bare_and_swept(
    name: str,
    weights: str | None,
    images: int,
    batch_size: int,
    classes: int,
    memory_format: torch.memory_format = torch.contiguous_format,
) -> tuple[Callable[[], None], Callable[[], None]]:
    """The bare forward pass over random batches, and the same pass with everything that a sweep measures.

    The memory format is that of the bare pass. The sweep chooses its own.
    """
    keep_freed_memory()
    model = lurk.load_model(name, weights=weights)
    plan = model.plan()
    batches = [torch.randn(batch_size, *plan.input_shape) for _ in range(images // batch_size)]
    measurement = Measurement(plan.layers, 1000)
    totals = Statistics(measurement.units, 9, classes)

    module = copy.deepcopy(model.module).to(memory_format=memory_format)
    formatted = [batch.contiguous(memory_format=memory_format) for batch in batches]

    def bare() -> None:
        with torch.inference_mode():
            for batch in formatted:
                module(batch)

    def swept() -> None:
        with torch.inference_mode(), measurement.tapped(plan) as forward:
            for number, batch in enumerate(batches):
                images = torch.arange(len(batch)) + number * len(batch)
                measurement.begin(images)
                forward(batch)
                measurement.unusable()
                totals.add(measurement.batch(images % classes))

    return bare, swept


if __name__ == "__main__":
    main()
