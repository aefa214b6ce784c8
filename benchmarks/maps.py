"""Nine maps of a unit against one and against nine made alone: python -m benchmarks.maps

For each method and network the three are timed in turn, after a first run of each. Printed are the medians of the wall
time and of the CPU time, and the ratios of the wall times. `again` is what nine maps take whose forward pass an earlier
method has left.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

import lurk
from lurk.graph.hooks import frozen
from lurk.methods import METHODS, MapMethod, MapRequest
from lurk.methods.attribution.cam import nearest_layers
from lurk.methods.attribution.forward_pass import Passes, forward_pass
from lurk.methods.attribution.run_map import PASS_BYTES, run_map_method
from lurk.methods.attribution.target import Target
from lurk.worker.memory import keep_freed_memory

NETWORKS = {"efficientnet_lite0": (None, "_blocks.8._expand_conv"), "resnet18": ("random", "layer3.0.conv1")}
IMAGES, UNIT = 9, 3
Times = tuple[float, float]


def timed(run: Callable[[], object]) -> Times:
    """Seconds of wall time and of CPU time that something takes."""
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - wall_s, time.process_time() - cpu_s


def measure(method: MapMethod, model: lurk.Model, layer: str, images: Tensor, rounds: int) -> dict[str, Times]:
    """Median times of one map, of nine made alone, of nine at once, and of nine after another method."""
    plan, target = model.plan(), Target(layer, UNIT)
    whole = MapRequest(model, plan, images, target, method.spec.read({}), {0.995: 0.5})
    single = [whole.of([at]) for at in range(len(images))]
    passes = Passes(PASS_BYTES)
    with forward_pass(plan, target, images, [*nearest_layers(plan, target), layer], passes):
        again = MapRequest(model, plan, images, target, whole.options, whole.quantiles, passes=passes)
    ways: dict[str, Callable[[], object]] = {
        "one": lambda: run_map_method(method, single[0]),
        "alone": lambda: [run_map_method(method, one) for one in single],
        "nine": lambda: run_map_method(method, whole),
        "again": lambda: run_map_method(method, again),
    }
    found: dict[str, list[Times]] = {name: [] for name in ways}
    with frozen(model.module):
        for at in range(rounds + 1):
            for name, run in ways.items():
                times = timed(run)
                found[name] += [times] if at else []
    return {name: _median(times) for name, times in found.items()}


def _median(times: Sequence[Times]) -> Times:
    return statistics.median(wall for wall, _ in times), statistics.median(cpu for _, cpu in times)


def main() -> None:
    """Print a table for each network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--methods", nargs="*", help="names; by default every method that gives maps")
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS), choices=list(NETWORKS))
    given = parser.parse_args()
    keep_freed_memory()
    names = given.methods or [name for name in METHODS if isinstance(METHODS[name], MapMethod)]
    for network in given.networks:
        weights, layer = NETWORKS[network]
        model = lurk.load_model(network, weights=weights)
        images = torch.randn(IMAGES, *model.input_shape, generator=torch.Generator().manual_seed(0))
        print(f"\n{network}, {layer}, {torch.get_num_threads()} threads; seconds of wall time (of CPU time)\n")
        print("| method | one | nine alone | nine | again | nine / one | nine / alone |\n|---|---|---|---|---|---|---|")
        for name in names:
            method = METHODS[name]
            if not isinstance(method, MapMethod) or method.refuse(model.plan()):
                continue
            times = measure(method, model, layer, images, given.rounds)
            shown = " | ".join(
                f"{times[way][0]:.2f} ({times[way][1]:.2f})" for way in ("one", "alone", "nine", "again")
            )
            nine = times["nine"][0]
            print(f"| {name} | {shown} | {nine / times['one'][0]:.2f} | {nine / times['alone'][0]:.2f} |", flush=True)


if __name__ == "__main__":
    main()
