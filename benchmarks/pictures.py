"""Our gradient ascent and torch-lucent's, interleaved in one run: the values that the pictures reach, and their times.

python -m benchmarks.pictures [--layers 6] [--units 4] [--steps 256] [--size 128] [--batch 16] [--threads N]

Both draw a picture of the same size for the same units in the same number of steps. Both are measured on the clean
picture, resized to the network's input size. torch-lucent draws unit by unit with its own defaults (render_vis: Adam
0.05, Fourier and decorrelated colours, its standard transforms, shown at 224), with the model's own
normalisation, and maximises the mean of the same value at which our layer is measured. It is installed separately, see
requirements-bench.txt; `--lucent FOLDER` says where (.bench by default).

The second table is the cost of our step over the bare forward and backward pass to the same layer on the same batch.
"""

import argparse
import statistics
import sys
import time
import types
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import lurk
from lurk.graph.partial_forward import partial_forward
from lurk.graph.plan import Plan
from lurk.methods import METHODS, PictureRequest
from lurk.methods.feature_vis.ascent import REDIRECTED_STEPS
from lurk.methods.feature_vis.picture_evaluation import evaluate_pictures
from lurk.methods.gradient_ascent import gradient_ascent
from lurk.models.model import Model
from lurk.worker.memory import keep_freed_memory

# our layer -> the module whose output, cut to ReLU6's range if it has one, is the value that we measure
LAYERS = {
    "_blocks.2._depthwise_conv": "_blocks_2__bn1",
    "_blocks.4._project_conv": "_blocks_4__bn2",
    "_blocks.6": "_blocks_6",
    "_blocks.9._expand_conv": "_blocks_9__bn0",
    "_blocks.12._depthwise_conv": "_blocks_12__bn1",
    "_conv_head": "_bn1",
}


def main() -> None:
    given = arguments()
    if given.threads:
        torch.set_num_threads(given.threads)
    keep_freed_memory()
    render = lucent(Path(given.lucent))
    model = lurk.load_model("efficientnet_lite0")
    model.module.eval()
    plan = model.plan()
    print(f"efficientnet_lite0, {torch.get_num_threads()} threads, {given.steps} steps, {given.size} pixels, ", end="")
    print(f"{given.units} units a layer, ours in a batch of {given.batch}")
    print("mean activation on the clean picture, median over units (after 8 small shifts in brackets); s per unit\n")
    print(f"{'layer':28}{'ours':>18}{'lucent':>18}{'ratio':>8}{'ours s':>9}{'lucent s':>10}{'ratio':>8}")
    rows = []
    for name in list(LAYERS)[: given.layers]:
        rows.append(compare(model, plan, name, given, render))
        layer, ours, theirs, mine, other = rows[-1]
        print(f"{layer:28}{shown(ours):>18}{shown(theirs):>18}{ratio(ours, theirs):8.2f}", end="")
        print(f"{mine:9.2f}{other:10.2f}{mine / other:8.2f}", flush=True)
    pairs = [(one.reached_mean, other.reached_mean) for _, a, b, _, _ in rows for one, other in zip(a, b, strict=True)]
    print(f"\nunits: {len(pairs)}; ours at least lucent's in {sum(one >= other for one, other in pairs)}; ", end="")
    print(
        f"below 0.01: ours {sum(one < 0.01 for one, _ in pairs)}, lucent's {sum(two < 0.01 for _, two in pairs)}; ",
        end="",
    )
    print(f"median of ours / lucent's {statistics.median(one / max(other, 0.01) for one, other in pairs):.2f}")
    taken = sum(row[3] for row in rows) / sum(row[4] for row in rows)
    print(f"time per unit, ours / lucent's: {taken:.2f} over all layers")
    print(f"\n{'layer':28}{'bare ms':>9}{'ours ms':>9}{'ratio':>8}   per picture and step, batch of {given.batch}")
    for layer in list(LAYERS)[: given.layers]:
        bare, ours = overhead(model, plan, layer, given)
        print(f"{layer:28}{bare * 1000:9.2f}{ours * 1000:9.2f}{ours / bare:8.2f}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("layers", 6), ("units", 4), ("steps", 256), ("size", 128), ("batch", 16), ("threads", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--lucent", default=".bench")
    parser.add_argument("--option", action="append", default=[], help="NAME=VALUE of our method, to try it")
    parser.add_argument("--save", help="folder for the pictures")
    return parser.parse_args()


def shown(found: list) -> str:
    clean, moved = ([getattr(one, name) for one in found] for name in ("reached_mean", "after_jitter_mean"))
    return f"{statistics.median(clean):.2f} ({statistics.median(moved):.2f})"


def ratio(ours: list, theirs: list) -> float:
    mine, other = (statistics.median(one.reached_mean for one in some) for some in (ours, theirs))
    return mine / other if other else float("inf")


def compare(model: Model, plan: Plan, layer: str, given: argparse.Namespace, render: Callable) -> tuple:
    """Run half of their units, then our batch, then their other half, so that a machine that slows down slows both."""
    info = next(one for one in plan.layers if one.name == layer)
    order = torch.randperm(info.units, generator=torch.Generator().manual_seed(0)).tolist()
    units, rest = order[: given.units], order[: given.batch]
    options = METHODS["gradient_ascent"].spec.read(
        {"steps": given.steps, "size": given.size} | dict(one.split("=") for one in given.option)
    )
    theirs, seconds = [], 0.0
    for at, unit in enumerate(units):
        if at == given.units // 2:
            began = time.perf_counter()
            drawn = gradient_ascent(PictureRequest(model, plan, layer, tuple(rest), options)).pictures
            mine = (time.perf_counter() - began) / len(rest)
        began = time.perf_counter()
        theirs.append(render(model, LAYERS[layer], info.bound, unit, given))
        seconds += time.perf_counter() - began
    both = torch.cat(theirs), drawn[: given.units]
    if given.save:
        save(Path(given.save) / f"{layer}.png", torch.cat([both[1], both[0]]), given.units)
    reached = [evaluate_pictures(model, plan, layer, units, pictures) for pictures in both]
    return layer, reached[1], reached[0], mine, seconds / given.units


def lucent(folder: Path) -> Callable:
    """torch-lucent's render_vis, for one unit."""
    sys.path.append(str(folder))
    for name in ("IPython", "IPython.display"):  # torch-lucent shows pictures in notebooks with it
        sys.modules.setdefault(name, types.ModuleType(name))
    sys.modules["IPython"].display = sys.modules["IPython.display"]
    warnings.simplefilter("ignore")
    try:
        from lucent.optvis import param, transform
        from lucent.optvis.render import render_vis
    except ImportError as error:
        raise SystemExit(f"torch-lucent is not in {folder} ({error}): see requirements-bench.txt") from None

    def draw(model: Model, name: str, bound: float | None, unit: int, given: argparse.Namespace) -> Tensor:
        def objective(hook: Callable) -> Tensor:
            values = hook(name)
            return -(values if bound is None else values.clamp(0, bound))[:, unit].mean()

        np.random.seed(unit)
        torch.manual_seed(unit)
        drawn = render_vis(
            model.module,
            objective,
            lambda: param.image(given.size),
            transforms=[*transform.standard_transforms, model.normalised],
            thresholds=(given.steps,),
            preprocess=False,
            progress=False,
            show_image=False,
            fixed_image_size=model.input_shape[1],
        )
        for part in model.module.modules():  # else its hooks stay, and run for the next unit as well
            part._forward_hooks.clear()
        model.module.zero_grad(set_to_none=True)
        return torch.from_numpy(drawn[-1]).permute(0, 3, 1, 2)

    return draw


def overhead(model: Model, plan: Plan, layer: str, given: argparse.Namespace, steps: int = 8) -> tuple[float, float]:
    """Seconds a picture and step, bare and ours: medians of interleaved steps after the first, helped ones."""
    units = tuple(range(given.batch))
    inputs = torch.rand(given.batch, *model.input_shape).contiguous(memory_format=torch.channels_last).requires_grad_()
    bare, ours, times, places = [], [], [], torch.tensor(units)
    options = METHODS["gradient_ascent"].spec.read({"steps": REDIRECTED_STEPS + steps, "size": given.size})
    with partial_forward(plan, [layer]) as reach:

        def between(done: int, _total: int, _pictures: Callable) -> None:
            now = time.perf_counter()
            ours.append(now - times[-1] if times else 0.0)
            values = reach(inputs)[layer][places, places]
            torch.autograd.grad(values.mean((1, 2)).sum(), inputs)
            times.append(time.perf_counter())
            bare.append(times[-1] - now)

        gradient_ascent(PictureRequest(model, plan, layer, units, options, show=between))
    return statistics.median(bare[-steps:]) / given.batch, statistics.median(ours[-steps:]) / given.batch


def save(path: Path, pictures: Tensor, columns: int) -> None:
    """Ours in the first row, theirs in the second."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [torch.cat(list(row), 2) for row in pictures.split(columns)]
    samples = (torch.cat(rows, 1).clamp(0, 1) * 255).byte().permute(1, 2, 0).numpy()
    Image.fromarray(samples).save(path)


if __name__ == "__main__":
    main()
