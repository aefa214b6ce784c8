"""How much each map changes when the network's weights are randomised (Adebayo et al., 2018, arXiv 1810.03292).

python -m benchmarks.sanity [--data demo] [--photographs 4] [--methods NAME …] [--full] [--cache cache]

For each photograph it makes four maps of EfficientNet-Lite0 with its real weights: for the most active unit of an
early, a middle and a late layer, at its maximum, and for the most probable class, at the late layer. It makes each
map again with the entries of every weight tensor shuffled, and compares the two by rank correlation; for a unit it
compares inside the box that the unit sees. 1 means that the map ignores the weights. It prints Markdown: the median
of each method, from the lowest to the highest, then how far the three rules of the back-signal agree. Without --full
the slowest methods run with fewer steps.
"""

import argparse
import statistics
import sys
import time
from collections import defaultdict

import torch
from torch import Tensor

import lurk
from lurk.errors import LurkError
from lurk.graph.hooks import frozen
from lurk.graph.partial_forward import partial_forward
from lurk.methods import METHODS, MapMethod, MapRequest
from lurk.methods.attribution.target import Target
from lurk.methods.randomization_test import SanityCheck, check_sanity
from lurk.models.model import Model
from lurk.storage.index import PROBABILITIES

LAYERS = {
    "early": "_blocks.2._depthwise_conv",
    "middle": "_blocks.6._depthwise_conv",
    "late": "_blocks.12._expand_conv",
}
FEWER = {
    "occlusion": {"size": 32, "stride": 32},
    "score_cam": {"channels": 16},
    "smoothgrad": {"samples": 12},
    "integrated_gradients": {"steps": 12},
}
PHOTOGRAPHS = ("cat", "coffee", "motorcycle", "rocket", "horse", "astronaut", "photographer", "coins")


def main() -> None:
    given = arguments()
    model = lurk.load_model("efficientnet_lite0")
    model.module.eval()
    pictures = photographs(model, given.data, given.cache)[: given.photographs]
    methods = {name: METHODS[name] for name in given.methods or METHODS}
    found: dict[tuple[str, str], list[float | None]] = defaultdict(list)
    rules: dict[tuple[str, str], list[float | None]] = defaultdict(list)
    for number, image in enumerate(pictures):
        for where, (target, quantiles) in targets(model, image).items():
            for name, method in methods.items():
                if isinstance(method, MapMethod):
                    sanity = checked(method, model, image, target, quantiles, given.full)
                    found[name, where].append(None if sanity is None else sanity.similarity)
            for pair, alike in ({} if sanity is None else sanity.agreement).items():
                rules[pair, where].append(alike)
            print(f"photograph {number + 1} of {len(pictures)}, {where}", file=sys.stderr)
    kinds = [*LAYERS, "class"]
    print(f"EfficientNet-Lite0, {len(pictures)} photographs of {given.data}, real against randomised weights\n")
    table("method", {METHODS[name].spec.label: [found[name, kind] for kind in kinds] for name, _ in found}, kinds)
    if not given.full:
        fewer = {METHODS[name].spec.label: options for name, options in FEWER.items()}
        words = [f"{label} {', '.join(f'{k} {v}' for k, v in options.items())}" for label, options in fewer.items()]
        print(f"\nOther options than the defaults: {'; '.join(words)}.")
    print("\nReal weights, one rule of the back-signal against another\n")
    table("rules", {pair.replace("-", ", "): [rules[pair, kind] for kind in kinds] for pair, _ in rules}, kinds)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="demo")
    parser.add_argument("--photographs", type=int, default=4)
    parser.add_argument("--methods", nargs="*")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--cache", default="cache")
    return parser.parse_args()


def photographs(model: Model, data: str, cache: str) -> list[Tensor]:
    """One image of each class; of the demo set only the photographs."""
    images = lurk.load_images(data, sample=1, cache=cache)
    names = [None if label is None or images.classes is None else images.classes[label] for label in images.labels]
    wanted = [names.index(name) for name in PHOTOGRAPHS] if data == "demo" else range(len(images))
    return [model.preprocess(images.read(number)) for number in wanted]


def targets(model: Model, image: Tensor) -> dict[str, tuple[Target, dict[float, float]]]:
    """The most active unit of each layer, and the most probable class; each with its quantiles over this image."""
    found = {}
    with partial_forward(model.plan(), LAYERS.values(), to_the_end=True) as reach, torch.no_grad():
        reached = reach(image[None])
        for where, layer in LAYERS.items():
            values = reached[layer][0].flatten(1)
            unit = int((values.amax(1) / (values.mean(1) + 1e-3)).argmax())
            levels = {probability: float(values[unit].quantile(probability)) for probability in PROBABILITIES}
            found[where] = (Target(layer, unit), levels)
        label = int(reached.logits[0].argmax())
        late, levels = found["late"]
        found["class"] = (Target(late.layer, late.unit, "class", label=label), levels)
    return found


def checked(
    method: MapMethod, model: Model, image: Tensor, target: Target, quantiles: dict[float, float], full: bool
) -> SanityCheck | None:
    began = time.perf_counter()
    try:
        with frozen(model.module):
            options = method.spec.read({} if full else FEWER.get(method.spec.name, {}))
            return check_sanity(method, MapRequest(model, model.plan(), image[None], target, options, quantiles))
    except LurkError as error:
        print(f"{method.spec.name}: {error}", file=sys.stderr)
        return None
    finally:
        print(f"  {method.spec.name}: {time.perf_counter() - began:.1f} s", file=sys.stderr)


def table(what: str, rows: dict[str, list[list[float | None]]], kinds: list[str]) -> None:
    print(f"| {what} | {' | '.join(f'{kind} unit' if kind != 'class' else kind for kind in kinds)} | all |")
    print("|" + "---|" * (len(kinds) + 2))
    whole = {name: [value for cell in cells for value in cell] for name, cells in rows.items()}
    middle = {name: statistics.median([v for v in values if v is not None] or [9.0]) for name, values in whole.items()}
    for name in sorted(rows, key=middle.__getitem__):
        print(f"| {name} | {' | '.join(map(shown, rows[name]))} | {shown(whole[name])} |")


def shown(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "–"
    return f"{statistics.median(known):.2f} ({min(known):.2f} to {max(known):.2f})"


if __name__ == "__main__":
    main()
