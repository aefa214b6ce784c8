"""The sweep beside the bare forward pass on the same batches, interleaved; prints the ratio.

python -m benchmarks.sweep [--model efficientnet_lite0] [--images 128] [--rounds 5]
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch

import lurk
from lurk.sweeps.measurement import Measurement
from lurk.sweeps.statistics import Statistics
from lurk.worker.memory import keep_freed_memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="efficientnet_lite0")
    parser.add_argument("--weights")
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--classes", type=int, default=40)
    given = parser.parse_args()
    bare, swept = bare_and_swept(given.model, given.weights, given.images, given.batch, given.classes)
    ratios, rates = [], []
    bare(), swept()
    for _ in range(given.rounds):
        began = time.perf_counter()
        bare()
        middle = time.perf_counter()
        swept()
        ended = time.perf_counter()
        ratios.append((ended - middle) / (middle - began))
        rates.append((given.images / (middle - began), given.images / (ended - middle)))
    print(f"{given.model}, {torch.get_num_threads()} threads, {given.images} images, batch {given.batch}")
    print(f"{'bare forward':16}{statistics.median(rate for rate, _ in rates):8.1f} images/s")
    print(f"{'forward + sweep':16}{statistics.median(rate for _, rate in rates):8.1f} images/s")
    print(f"{'ratio':16}{statistics.median(ratios):8.2f} (from {min(ratios):.2f} to {max(ratios):.2f})")


def bare_and_swept(
    name: str, weights: str | None, images: int, batch_size: int, classes: int
) -> tuple[Callable[[], None], Callable[[], None]]:
    """The bare forward pass over random batches, and the same pass with everything that a sweep measures."""
    keep_freed_memory()
    model = lurk.load_model(name, weights=weights)
    plan = model.plan()
    batches = [torch.randn(batch_size, *plan.input_shape) for _ in range(images // batch_size)]
    measurement = Measurement(plan.layers, 1000)
    totals = Statistics(measurement.units, 9, classes)

    def bare() -> None:
        with torch.inference_mode():
            for batch in batches:
                model.module(batch)

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
