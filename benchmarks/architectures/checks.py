"""The checks of the matrix: each looks at one thing of one network.

A check returns a remark or nothing; it raises `Fault` with what is wrong. What the project refuses is a `LurkError`.
"""

import gc
import resource
import time
from collections.abc import Callable
from itertools import dropwhile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import lurk
from benchmarks.architectures.case import Case, Fault, evaluated, traces
from benchmarks.architectures.maps import maps
from benchmarks.architectures.units import swept, units
from lurk.graph.layers import find_layers
from lurk.graph.partial_forward import partial_forward
from lurk.records import LayerInfo

SAMPLED, UNCLEAR = 6, 0.08
WARM, TIMES = 6, 16
MEBIBYTE = 2**20


def layers(case: Case) -> str:
    """Every convolution and linear layer that reads the image is found, or told as left out; so is each extra token."""
    plan = case.model.plan()
    names = [info.name for info in plan.layers]
    known = {name.partition(":")[0] for name in (*names, *plan.left_out)}
    parts = {n for n, p in case.module.named_modules() if isinstance(p, (nn.Conv2d, nn.Linear)) and n}
    (one, first), (_, second), (two, _) = (seen(case, parts, images) for images in ([0], [1], [0, 1]))
    reading = {name for name, total in first.items() if second.get(name) != total}
    missing = {name for name, shape in one.items() if two.get(name) != shape and name in reading} - known
    if missing:
        raise Fault(f"{len(missing)} layers are missing, such as {min(missing)}")
    extras = (*case.sample.first, *case.sample.last)
    for name in dropwhile(lambda name: not name.startswith(case.sample.since), names) if extras else ():
        own = one.get(name)
        if (
            own is not None
            and len(own) == 3
            and own[1] > len(extras)
            and any(f"{name}:{e}" not in names for e in extras)
        ):
            raise Fault(f"{name} lacks the layers of its tokens {', '.join(extras)}")
    ends = {name: name.partition(":")[2].rpartition(":")[2] for name in names}
    wrong = [name for name, end in ends.items() if end not in ("", "heads", *extras) and not end.isdigit()]
    if wrong:
        raise Fault(f"{wrong[0]} is of a token that the network does not have")
    return f"{len(plan.layers)} layers" + (f", {len(plan.left_out)} left out" if plan.left_out else "")


def seen(case: Case, names: set[str], images: list[int]) -> tuple[dict[str, tuple[int, ...]], dict[str, float]]:
    """Shape and sum of each part's last output, for a batch of some images."""
    found: dict[str, tuple[int, ...]] = {}
    sums: dict[str, float] = {}

    def see(name: str, output: object) -> None:
        if isinstance(output, Tensor) and output.is_floating_point():
            found[name], sums[name] = tuple(output.shape), float(output.double().sum())

    handles = [
        part.register_forward_hook(lambda _m, _i, out, name=name: see(name, out))
        for name, part in case.module.named_modules()
        if name in names
    ]
    try:
        case.run(torch.cat([case.batch(case.images[at]) for at in images]))
    except RuntimeError:  # a network of one image only
        found.clear()
    finally:
        for handle in handles:
            handle.remove()
    return found, sums


def shapes(case: Case) -> str:
    """Shape and units are those of the module's own output."""
    for info in case.model.layers:
        found = case.reading(info, case.readings[0])
        is_own = found is not None and found.own.shape[0] == 1 and not info.heads
        if found is not None and is_own and tuple(found.own.shape[1:]) != tuple(info.shape):
            raise Fault(f"{info.name} is {info.shape}, its output {tuple(found.own.shape[1:])}")
        if info.units not in info.shape:
            raise Fault(f"{info.name} has {info.units} units, shape {info.shape}")
    return ""


def fields(case: Case) -> str:
    """The gradient of a position's value lies inside the box that is told for it."""
    local = [info for info in case.model.layers if info.receptive_field is not None]
    if not local:
        return "all global"
    for info in spread(local):
        row, col = info.grid[0] // 2, info.grid[1] // 3
        x = case.batch(case.images[0]).requires_grad_()
        value = live(case, info, x)
        laid = None if value is None else case.laid(info, value)
        if laid is None or not laid.values.requires_grad:
            return "no reference: the network switches gradients off"
        if laid.in_order:
            (gradient,) = torch.autograd.grad(laid.values[:, row * info.grid[1] + col].sum(), x)
        else:  # such as a map that is turned
            gradient = read_at(case, info.name, (row, col))[None]
        rows, cols = (gradient[0] != 0).any(0).nonzero().unbind(1)
        top, left, bottom, right = info.box(row, col, case.sample.shape[1:])
        if len(rows) and not (top <= rows.min() and rows.max() < bottom and left <= cols.min() and cols.max() < right):
            raise Fault(f"{info.name} at ({row}, {col}) sees pixels outside of its box {(top, left, bottom, right)}")
    return f"{len(local)} local"


def spread(infos: list[LayerInfo]) -> list[LayerInfo]:
    return infos[:: max(1, len(infos) // SAMPLED)]


def live(case: Case, info: LayerInfo, x: Tensor) -> Tensor | None:
    """The output of a layer's module, with its gradients."""
    kept: list[Tensor] = []
    path, _, call = info.name.partition(":")
    part = case.module.get_submodule(path)
    handle = part.register_forward_hook(lambda _m, _i, out: kept.append(out.clone()))
    case.run(x)
    handle.remove()
    number = int(call) - 1 if call.isdigit() else 0
    return kept[number] if number < len(kept) else None


def positions(case: Case) -> str:
    """A position of the upper right reads rather the upper right of the image, one of the lower left the lower left."""
    plan = case.model.plan()
    placed = [i for i, tap in zip(plan.layers, plan.taps, strict=True) if tap.layout.placed and min(i.grid) > 1]
    done = [info.name for info in spread([info for info in placed if info.receptive_field is None])]
    for name in done:
        info = next(info for info in placed if info.name == name)
        rows, cols = info.grid[0] - 1, info.grid[1] - 1
        read = [read_at(case, name, at) for at in ((0, cols), (rows, 0), (0, 0), (rows, cols))]
        mean = sum(read) / len(read)
        if not bool(mean.any()):
            continue
        (top, right), (bottom, left) = (centre((one - mean).square().sum(0)) for one in read[:2])
        if top - bottom > UNCLEAR or left - right > UNCLEAR:
            where = f"({top:.2f}, {right:.2f}), the lower left around ({bottom:.2f}, {left:.2f})"
            raise Fault(f"{name}: the upper right reads around {where}")
    return f"{len(done)} of {len(placed)} layers" if done else ""


def read_at(case: Case, name: str, at: tuple[int, int]) -> Tensor:
    """Derivative of a sum of a layer's units at one position: float32 (c, h, w)."""
    x = case.batch(case.images[0]).requires_grad_()
    with partial_forward(case.model.plan(), [name]) as reach:
        found = reach(x)[name][0, :, at[0], at[1]].float()
        signs = torch.randn(len(found), generator=torch.Generator().manual_seed(0))
        (gradient,) = torch.autograd.grad((found * signs).sum(), x, allow_unused=True)
    return torch.zeros_like(x[0]).float() if gradient is None else gradient[0].float()


def centre(energy: Tensor) -> tuple[float, float]:
    """(row, column) of the centre of some energy (h, w), each from 0 to 1."""
    rows, cols = (torch.linspace(0, 1, size, dtype=torch.float64) for size in energy.shape)
    energy = energy.double() / energy.double().sum().clamp(min=1e-300)
    return float(energy.sum(1) @ rows), float(energy.sum(0) @ cols)


def picture(case: Case) -> str:
    """Gradient ascent draws a finite picture."""
    drawn = lurk.visualize(case.model, case.middle.name, [0], steps=3)
    if not np.isfinite(drawn).all() or drawn.min() < 0 or drawn.max() > 1 or drawn.std() < 1e-4:
        raise Fault(f"the picture of {case.middle.name} is not finite, not in [0, 1], or of one colour")
    return ""


def memory(case: Case) -> str:
    """A method that is run again and again leaves no objects behind, and takes no more memory."""

    def run(times: int) -> tuple[int, int]:
        for _ in range(times):
            lurk.attribute(case.model, case.images[0], case.middle.name, 0, method="gradient", target="map")
        gc.collect()
        return len(gc.get_objects()), resident()

    objects, held = run(WARM)
    more, taken = run(TIMES)
    if more - objects >= TIMES or taken - held > 24 * MEBIBYTE:
        raise Fault(f"{TIMES} maps leave {more - objects} objects and {(taken - held) / MEBIBYTE:.0f} MiB")
    return ""


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def restored(case: Case) -> str:
    """Hooks, flags, gradients, weights and random numbers are as they were when the network was made."""
    now = traces(case.given)
    changed = [what for what, was in case.before.items() if now[what] != was]
    if changed:
        raise Fault(f"{', '.join(changed)} have changed")
    return ""


def planning(case: Case) -> str:
    """How many forward passes of one image planning takes."""
    own = case.sample.own or case.sample.shape
    x = torch.randn(1, *own, generator=torch.Generator().manual_seed(0)).to(case.model.dtype)
    passes, plans = [], []
    for _ in range(2):
        with torch.no_grad(), evaluated(case.module):
            case.module(x)
            began = time.process_time()
            case.module(x)
        passes.append(time.process_time() - began)
        began = time.process_time()
        find_layers(case.module, own)
        plans.append(time.process_time() - began)
    return f"{min(plans) / max(min(passes), 1e-4):.0f} passes of {1000 * min(passes):.0f} ms"


CHECKS: dict[str, Callable[[Case], str]] = {
    "layers": layers,
    "shapes": shapes,
    "fields": fields,
    "positions": positions,
    "sweep": swept,
    "units": units,
    "picture": picture,
    "maps": maps,
    "memory": memory,
    "restored": restored,
    "planning": planning,
}
