"""The checks of `python -m benchmarks.architectures`: each looks at one thing of one network.

A check returns a remark or nothing; it raises `Fault` with what is wrong. What the project refuses is a `LurkError`.
"""

import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import captum.attr
import numpy as np
import torch
from torch import Tensor, nn

import lurk
from benchmarks.architecture_networks import Sample
from benchmarks.slow_activations import layer_values
from lurk.errors import LurkError
from lurk.graph.layers import find_layers
from lurk.methods import METHODS, MapMethod
from lurk.records import LayerInfo

IMAGES, TOP, UNITS, MAPPED = 5, 3, 4, 24
FEWER = {
    "occlusion": {"size": 16, "stride": 16},
    "score_cam": {"channels": 4},
    "smoothgrad": {"samples": 3},
    "integrated_gradients": {"steps": 8},
}
QUANTILES = dict.fromkeys((0.5, 0.9, 0.99, 0.995), 0.0)
BLACK = -2.0  # what `Pipeline` makes of it
MEBIBYTE = 2**20


class Fault(Exception):  # noqa: N818 - what the table calls it
    """Something is wrong."""


@dataclass
class Case:
    """A network with its images and what was found of it."""

    sample: Sample
    module: nn.Module
    state: list[object] = field(default_factory=list)

    @cached_property
    def model(self) -> lurk.Model:
        c, h, w = self.sample.shape
        return lurk.load_model(self.module, preprocess=Pipeline(c, h, w), name="network")

    @cached_property
    def images(self) -> list[Tensor]:
        generator = torch.Generator().manual_seed(1)
        c, h, w = self.sample.shape
        coarse = torch.randn(IMAGES, c, 8, 8, generator=generator)
        smooth = nn.functional.interpolate(coarse, size=(h, w), mode="bilinear")
        return list(smooth + 0.3 * torch.randn(IMAGES, c, h, w, generator=generator))

    @cached_property
    def reference(self) -> list[dict[str, tuple[Tensor, Tensor]]]:
        """Own output and value of each layer, for each image."""
        names = [info.name for info in self.model.layers]
        return [layer_values(self.model.module, self.batch(image), names) for image in self.images]

    @cached_property
    def has_gradients(self) -> bool:
        """Whether the network's output has a gradient of its own; else there is nothing to compare with."""
        with torch.enable_grad():
            output = self.model.module(self.batch(self.images[0]).requires_grad_())
        return not isinstance(output, Tensor) or output.requires_grad

    def batch(self, image: Tensor) -> Tensor:
        return image[None].to(self.model.dtype)

    def by_position(self, info: LayerInfo, value: Tensor) -> Tensor | None:
        """A layer's value for one image as float32 (units, positions); None if it cannot be told how it lies."""
        if value.shape[:1] != (1,) or value.dim() not in (2, 3, 4):
            return None
        axes = [at for at in range(1, value.dim()) if value.shape[at] == info.units]
        if value.dim() < 4:
            axes = axes[-1:]
        if len(axes) != 1:
            axes = [value.dim() - 1 if info.kind in ("Linear", "LayerNorm") else 1]
        found = value.movedim(axes[0], 1).reshape(info.units, -1).float()
        count = info.grid[0] * info.grid[1]
        if value.dim() == 3:
            found = found[:, self.sample.extra :]
        return found if found.shape == (info.units, count) else None


@dataclass(frozen=True)
class Pipeline:
    """A picture becomes (c, h, w), in -2 to 2; channels beyond the third repeat the first three."""

    channels: int
    height: int
    width: int

    def __call__(self, picture) -> Tensor:  # type: ignore[no-untyped-def]  # a PIL picture
        resized = picture.convert("RGB").resize((self.width, self.height))
        samples = torch.from_numpy(np.array(resized)).permute(2, 0, 1).float() / 255
        return (samples[[at % 3 for at in range(self.channels)]] - 0.5) / 0.25


def layers(case: Case) -> str:
    """Every convolution and linear layer that runs is found, or told as left out."""
    plan = case.model.plan()
    known = {name.partition(":")[0] for name in (*(info.name for info in plan.layers), *plan.left_out)}
    parts = {n for n, p in case.model.module.named_modules() if isinstance(p, (nn.Conv2d, nn.Linear)) and n}
    ran: set[str] = set()
    handles = [
        part.register_forward_hook(lambda _m, _i, out, name=name: ran.add(name) if isinstance(out, Tensor) else None)
        for name, part in case.model.module.named_modules()
        if name in parts
    ]
    with torch.no_grad():
        case.model.module(case.batch(case.images[0]))
    for handle in handles:
        handle.remove()
    if ran - known:
        raise Fault(f"{len(ran - known)} layers are missing, such as {min(ran - known)}")
    return f"{len(plan.layers)} layers" + (f", {len(plan.left_out)} left out" if plan.left_out else "")


def shapes(case: Case) -> str:
    """Shape and units are those of the module's own output."""
    for info in case.model.layers:
        own = case.reference[0].get(info.name.partition(":class")[0])
        if own is None or ":reg" in info.name:
            continue
        if own[0].shape[0] == 1 and tuple(own[0].shape[1:]) != tuple(info.shape):
            raise Fault(f"{info.name} is {info.shape}, its output {tuple(own[0].shape[1:])}")
        if info.units not in info.shape:
            raise Fault(f"{info.name} has {info.units} units, shape {info.shape}")
    return ""


def fields(case: Case) -> str:
    """The gradient of a position's value lies inside the box that is told for it."""
    local = [info for info in case.model.layers if info.receptive_field is not None and len(info.shape) == 3]
    if not local:
        return "all global"
    _, h, w = case.sample.shape
    for info in local[:: max(1, len(local) // 6)]:
        kept: list[Tensor] = []
        part = case.model.module.get_submodule(info.name.partition(":")[0])
        handle = part.register_forward_hook(lambda _m, _i, out: kept.append(out.clone()))  # noqa: B023 - used at once
        x = case.batch(case.images[0]).requires_grad_()
        with torch.enable_grad():
            case.model.module(x)
        handle.remove()
        if not kept[0].requires_grad:
            return "no reference: the network switches gradients off"
        number = int(info.name.partition(":")[2] or 1) - 1
        last = info.shape[-1] == info.units != info.shape[0]
        value = kept[number][0] if not last else kept[number][0].movedim(-1, 0)
        row, col = value.shape[1] // 2, value.shape[2] // 3
        (gradient,) = torch.autograd.grad(value[:, row, col].float().sum(), x)
        rows, cols = (gradient[0] != 0).any(0).nonzero().unbind(1)
        top, left, bottom, right = info.box(row, col, (h, w))
        if len(rows) and not (top <= rows.min() and rows.max() < bottom and left <= cols.min() and cols.max() < right):
            raise Fault(f"{info.name} at ({row}, {col}) sees pixels outside of its box {(top, left, bottom, right)}")
    return f"{len(local)} local"


def swept(case: Case) -> str:
    """Top lists and positions are those of a full sort over what plain hooks see."""
    with tempfile.TemporaryDirectory() as cache:
        index = lurk.sweep(case.model, Listed(case.images), top=TOP, cache=cache, batch_size=3)
        done = 0
        for info in case.model.layers:
            done += _layer_is_right(case, index, info)
    skipped = len(case.model.layers) - done
    return f"{done} layers" + (f"; {skipped} without a reference" if skipped else "")


def _layer_is_right(case: Case, index: lurk.Index, info: LayerInfo) -> bool:
    values = [run.get(info.name) for run in case.reference]
    maps = [None if pair is None else case.by_position(info, pair[0 if info.tap == "raw" else 1]) for pair in values]
    known = [found for found in maps if found is not None]
    if len(known) != IMAGES:
        return False
    stacked = torch.stack(known)  # (n, units, positions)
    near = 1e-3 if case.model.dtype in (torch.float32, torch.float64) else 3e-2
    near *= float(stacked.abs().amax().clamp(min=1e-6))
    for unit in {0, info.units // 2, info.units - 1}:
        record = index.unit(info.name, unit)
        best = stacked[:, unit].amax(1).sort(descending=True).values[: len(record.hits_max)]
        for hit, score in zip(record.hits_max, best.tolist(), strict=True):
            there = float(stacked[hit.image, unit, hit.row * info.grid[1] + hit.col])
            if abs(hit.score - score) > near or abs(there - hit.score) > near:
                raise Fault(
                    f"{info.name} unit {unit}: score {hit.score:.4g}, by a full sort {score:.4g}, there {there:.4g}"
                )
        means = stacked[:, unit].mean(1).sort(descending=True).values
        if any(abs(hit.score - mean) > near for hit, mean in zip(record.hits_mean, means.tolist(), strict=False)):
            raise Fault(f"{info.name} unit {unit}: means differ from those of a full sort")
    return True


@dataclass(frozen=True)
class Listed:
    """Preprocessed images as a data set of two classes."""

    images: list[Tensor]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        return self.images[number], number % 2


def picture(case: Case) -> str:
    """Gradient ascent draws a finite picture."""
    info = case.model.layers[len(case.model.layers) // 2]
    drawn = lurk.visualize(case.model, info.name, [0], steps=3)
    if not np.isfinite(drawn).all() or drawn.min() < 0 or drawn.max() > 1 or drawn.std() < 1e-4:
        raise Fault(f"the picture of {info.name} is not finite, not in [0, 1], or of one colour")
    return ""


def maps(case: Case) -> str:
    """Maps are those of torch.autograd and captum; of the others, finite and not zero; or refused in one line."""
    info = case.model.layers[-1]
    image, refused = case.images[0], []
    label = _label(case)
    for name in METHODS:
        method = METHODS[name]
        if not isinstance(method, MapMethod):
            continue
        options = FEWER.get(name, {})
        known = {option.name for option in method.spec.options}
        options = {key: value for key, value in options.items() if key in known}
        try:
            explained = {"target": "map" if label is None else "class", "label": label, "quantiles": QUANTILES}
            found = torch.from_numpy(
                lurk.attribute(case.model, image, info.name, 0, method=name, **explained, **options)
            )
        except LurkError as error:
            if "\n" in str(error) or len(str(error)) > 300:
                raise Fault(f"{name} is refused in more than one line") from error
            refused.append(name)
            continue
        if not torch.isfinite(found).all() or found.shape[-2:] != image.shape[-2:]:
            raise Fault(f"{name} is not finite, or of shape {tuple(found.shape)}")
        has_reference = name in REFERENCES and label is not None and case.has_gradients
        expected = REFERENCES[name](case, image, label) if has_reference else None
        if expected is not None and not _alike(found, expected, case.model.dtype):
            raise Fault(f"{name} differs from its reference by {float((found - expected).abs().max()):.3g}")
    return f"refused: {', '.join(refused)}" if refused else ""


def _label(case: Case) -> int | None:
    scores = case.model.plan().scores
    return None if scores.missing or scores.form != "columns" else 0


def _alike(one: Tensor, two: Tensor, dtype: torch.dtype) -> bool:
    """Whether two maps are the same but for rounding, which may turn a rectifier near 0 on or off."""
    near = 1e-2 if dtype in (torch.float32, torch.float64) else 5e-2
    return bool((one - two.float()).norm() <= near * two.float().norm() + 1e-12)


def _score(case: Case, label: int) -> Callable[[Tensor], Tensor]:
    scores, images = case.model.plan().scores, 1

    def run(x: Tensor) -> Tensor:
        parts = x.to(case.model.dtype).split(1)
        return torch.cat([scores.read(case.model.module(part), images)[:, label] for part in parts])

    return run


def _gradient(case: Case, image: Tensor, label: int) -> Tensor:
    x = case.batch(image).requires_grad_()
    with torch.enable_grad():
        (found,) = torch.autograd.grad(_score(case, label)(x).sum(), x)
    return found[0]


def _integrated(case: Case, image: Tensor, label: int) -> Tensor:
    method = captum.attr.IntegratedGradients(_score(case, label))
    with torch.enable_grad():
        image = image[None].float()
        found = method.attribute(image, torch.full_like(image, BLACK), n_steps=FEWER["integrated_gradients"]["steps"])
    return found[0].detach()


REFERENCES: dict[str, Callable[[Case, Tensor, int], Tensor]] = {
    "gradient": _gradient,
    "integrated_gradients": _integrated,
    "gradient_x_input": lambda case, image, label: _gradient(case, image, label) * case.batch(image)[0],
}


def restored(case: Case) -> str:
    """Hooks, flags, gradients and weights are as they were when the network was made."""
    if state_of(case.module) != case.state:
        raise Fault("hooks, training flags, requires_grad, gradients or weights have changed")
    return ""


def state_of(module: nn.Module) -> list[object]:
    tables = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    parts = [(n, p.training, [len(getattr(p, t, ())) for t in tables]) for n, p in module.named_modules()]
    weights = [(n, w.requires_grad, w.grad is None, w.double().sum().item()) for n, w in module.named_parameters()]
    return [*parts, *weights, *((n, b.double().sum().item()) for n, b in module.named_buffers())]


def memory(case: Case) -> str:
    """A method that is run again and again takes no more memory."""
    info = case.model.layers[len(case.model.layers) // 2]

    def run(times: int) -> None:
        for _ in range(times):
            lurk.attribute(case.model, case.images[0], info.name, 0, method="gradient", target="map")

    run(5)
    before = resident()
    run(MAPPED)
    grown = (resident() - before) / MEBIBYTE
    if grown > 24:
        raise Fault(f"{MAPPED} maps take {grown:.0f} MiB more")
    return ""


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def planning(case: Case) -> str:
    """How many forward passes of one image planning takes."""
    own = case.sample.own or case.sample.shape
    x = torch.randn(1, *own).to(case.model.dtype)
    passes, plans = [], []
    for _ in range(2):
        with torch.no_grad():
            case.model.module(x)
            began = time.process_time()
            case.model.module(x)
        passes.append(time.process_time() - began)
        began = time.process_time()
        find_layers(case.model.module, own)
        plans.append(time.process_time() - began)
    return f"{min(plans) / min(passes):.0f} passes of {1000 * min(passes):.0f} ms"


CHECKS: dict[str, Callable[[Case], str]] = {
    "layers": layers,
    "shapes": shapes,
    "fields": fields,
    "sweep": swept,
    "picture": picture,
    "maps": maps,
    "memory": memory,
    "restored": restored,
    "planning": planning,
}
