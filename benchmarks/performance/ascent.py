"""Gradient ascent beside torch-lucent: the same units, steps and size of picture."""

import statistics
import sys
import types
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.performance.comparison import OURS, Case, Comparison, Work

ALONE, BATCH = "torch-lucent", "torch-lucent, batch"
VALUES = {  # our layer -> the module whose output, between 0 and 6, is the value that both maximise the mean of
    "_blocks.3._expand_conv": "_blocks.3._bn0",
    "_blocks.8._expand_conv": "_blocks.8._bn0",
    "_conv_head": "_bn1",
}


def prepare(side: str, options: Mapping[str, Any], _folder: Path) -> Callable[[], Work]:
    import torch

    import lurk
    from lurk.worker.memory import keep_freed_memory

    model, layer, size = lurk.load_model("efficientnet_lite0"), options["layer"], options["size"]
    model.module.eval()
    count = model.module.get_submodule(VALUES[layer]).num_features
    units = torch.randperm(count, generator=torch.Generator().manual_seed(0)).tolist()
    if side == OURS:
        keep_freed_memory()
        units, draw = units[: options["units"]], _ours
    else:
        units, draw = units[: options["batch" if side == BATCH else "alone"]], _lucent
    together = 1 if side == ALONE else len(units)

    def drawn(steps: int) -> list[Any]:
        parts = [units[at : at + together] for at in range(0, len(units), together)]
        return [picture for part in parts for picture in draw(model, layer, part, steps, size)]

    def work() -> Work:
        pictures = drawn(options["steps"])
        return Work(len(units), lambda: {"reached": _reached(model, layer, units, torch.stack(pictures))})

    if side == BATCH:
        model.module.requires_grad_(False)
    drawn(1)
    return work


def _ours(model: Any, layer: str, units: Sequence[int], steps: int, size: int) -> Any:
    import torch

    import lurk

    return torch.from_numpy(lurk.visualize(model, layer, units, steps=steps, size=size))


def _lucent(model: Any, layer: str, units: Sequence[int], steps: int, size: int) -> Any:
    import torch

    warnings.simplefilter("ignore")
    for name in ("IPython", "IPython.display"):  # torch-lucent shows pictures in notebooks with it
        sys.modules.setdefault(name, types.ModuleType(name))
    from lucent.optvis import param, transform
    from lucent.optvis.render import render_vis

    def objective(hook: Callable[[str], Any]) -> Any:
        values = hook(VALUES[layer].replace(".", "_")).clamp(0, 6)
        return -sum(values[at, unit].mean() for at, unit in enumerate(units))

    torch.manual_seed(units[0])
    drawn = render_vis(
        model.module,
        objective,
        lambda: param.image(size, batch=len(units)),
        transforms=[*transform.standard_transforms, model.normalised],
        thresholds=(steps,),
        preprocess=False,
        progress=False,
        show_image=False,
        fixed_image_size=model.input_shape[1],
    )
    for part in model.module.modules():  # else its hooks stay, and run the next time as well
        part._forward_hooks.clear()
    model.module.zero_grad(set_to_none=True)
    return torch.from_numpy(drawn[-1]).permute(0, 3, 1, 2)


def _reached(model: Any, layer: str, units: Sequence[int], pictures: Any) -> float:
    """The mean activation of each unit in its clean picture, at the network's input size: the median over the units."""
    import torch
    from torch.nn.functional import interpolate

    found: list[Any] = []
    handle = model.module.get_submodule(VALUES[layer]).register_forward_hook(lambda *seen: found.append(seen[2]))
    with handle, torch.no_grad():
        side = model.input_shape[1]
        shown = interpolate(pictures.float(), (side, side), mode="bilinear", align_corners=False, antialias=True)
        model.module(model.normalised(shown))
    values = found[0].clamp(0, 6)
    return statistics.median(values[at, unit].mean().item() for at, unit in enumerate(units))


def _case(layer: str, size: int, goal: str) -> Case:
    options = {"layer": layer, "size": size, "steps": 48, "units": 16, "batch": 16, "alone": 2}
    return Case(f"`{layer}`, {size} pixels", options, goal, rounds=2, warms_up=False)


COMPARISON = Comparison(
    title="Pictures by gradient ascent beside torch-lucent",
    text="EfficientNet-Lite0 with its real weights, 48 steps. Ours draws 16 units in a batch. torch-lucent 0.1.8 "
    "draws with its defaults (Adam 0.05, Fourier, its own transforms, shown to the network at 224 pixels): 2 "
    "units, one by one as its documentation does it, and 16 units in a batch with the weights frozen, which "
    "can be faster; its transforms are then the same for all 16. Reached is the mean activation of the unit in "
    "the clean picture, the median over the units, so the figure of torch-lucent one by one is for its 2 units "
    "only.",
    sides=(OURS, ALONE, BATCH),
    unit="picture",
    cases=(
        _case("_blocks.3._expand_conv", 224, "≥ 3, at least ≥ 2.5"),
        _case("_blocks.8._expand_conv", 224, "≥ 3, at least ≥ 2.5"),
        _case("_conv_head", 224, "≥ 3, at least ≥ 2.5"),
        _case("_blocks.8._expand_conv", 128, "≥ 6, at least ≥ 5"),
    ),
    quick=Case(
        "`_blocks.3._expand_conv`, 64 pixels",
        {"layer": "_blocks.3._expand_conv", "size": 64, "steps": 2, "units": 2, "batch": 2, "alone": 1},
        rounds=1,
        warms_up=False,
    ),
    prepare=prepare,
    peers={ALONE: "torch-lucent", BATCH: "torch-lucent"},
)
