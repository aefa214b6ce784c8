"""A network of the matrix with its images, and what plain PyTorch finds of both."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

import lurk
from benchmarks.architectures.networks import Sample
from benchmarks.architectures.readings import Reading, read_layers
from lurk.records import LayerInfo

IMAGES, TOP = 5, 3
NORMS = (nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm)
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class Fault(Exception):  # noqa: N818 - what the table calls it
    """Something is wrong."""


@dataclass(frozen=True)
class Laid:
    """A layer's value for one image.

    Args:
        values: float32 (units, positions).
        in_order: Whether the positions are in the order of the layer's grid, row by row.
    """

    values: Tensor
    in_order: bool = True


class Case:
    """A network with its images.

    Args:
        sample: How it was made, and its images' shape.
        given: The network, which is brought into the state of one that is being trained.
        cache: An empty folder for the index.
    """

    def __init__(self, sample: Sample, given: nn.Module, cache: str | Path) -> None:
        self.sample, self.given, self.cache = sample, given, cache
        disturb(given)
        self.before = traces(given)
        self.model = lurk.load_model(given, preprocess=Pipeline(*sample.shape), name="network")
        self.module = self.model.module  # a copy, if the given one cannot be watched

    @cached_property
    def images(self) -> list[Tensor]:
        generator = torch.Generator().manual_seed(1)
        c, h, w = self.sample.shape
        coarse = torch.randn(IMAGES, c, 8, 8, generator=generator)
        smooth = nn.functional.interpolate(coarse, size=(h, w), mode="bilinear")
        return list(smooth + 0.3 * torch.randn(IMAGES, c, h, w, generator=generator))

    @cached_property
    def index(self) -> lurk.Index:
        """What a sweep of the images stores."""
        return lurk.sweep(self.model, Listed(self.images), top=TOP, cache=self.cache, batch_size=3)

    @cached_property
    def readings(self) -> list[dict[str, Reading]]:
        """What each layer gives, for each image."""
        names = [info.name for info in self.model.layers]
        with evaluated(self.module):
            return [read_layers(self.module, self.batch(image), names) for image in self.images]

    @cached_property
    def has_gradients(self) -> bool:
        """Whether the network's output has a gradient of its own; else there is nothing to compare with."""
        output = self.run(self.batch(self.images[0]).requires_grad_())
        return not isinstance(output, Tensor) or output.requires_grad

    @cached_property
    def turned(self) -> set[str]:
        """Layers whose positions the project puts into another order than the module has them in."""
        plan = self.model.plan()
        pairs = zip(plan.layers, plan.taps, strict=True)
        return {info.name for info, tap in pairs if isinstance(tap.layout.entries, tuple)}

    @property
    def middle(self) -> LayerInfo:
        return self.model.layers[len(self.model.layers) // 2]

    def batch(self, image: Tensor) -> Tensor:
        return image[None].to(self.model.dtype)

    def run(self, batch: Tensor) -> object:
        """Run the network plainly, in evaluation mode and with gradients."""
        norms = [part for part in self.module.modules() if isinstance(part, NORMS)]
        handles = [norm.register_forward_hook(brought_in_order) for norm in norms]
        try:
            with evaluated(self.module), torch.enable_grad():
                output: object = self.module(batch)
        finally:
            for handle in handles:
                handle.remove()
        return output

    def laid(self, info: LayerInfo, value: Tensor) -> Laid | None:
        """Lay out a layer's value for one image; None if it cannot be told how it lies."""
        count = info.grid[0] * info.grid[1]
        first, last = len(self.sample.first), len(self.sample.last)
        if value.dim() == 1:
            value = value[None]
        if (
            value.dim() == 3
            and value.shape[1] == 1 != value.shape[0]
            and value.shape[0] in (count, count + first + last)
        ):
            value = value.transpose(0, 1)  # the sequence comes first
        if value.shape[0] != 1:  # windows of the image
            whole = value.reshape(-1, info.units).T if value.shape[-1] == info.units else value[:0]
            return Laid(whole.float(), False) if whole.shape == (info.units, count) else None
        axes = [at for at in range(1, value.dim()) if value.shape[at] == info.units]
        if len(axes) != 1:
            axes = axes[-1:] if info.kind in ("Linear", "LayerNorm") or value.dim() == 3 else axes[:1]
        found = value.movedim(axes[0], 1).reshape(info.units, -1).float()
        if value.dim() == 3 and first + last and found.shape[1] != count:
            names = (*self.sample.first, *[None] * (found.shape[1] - first - last), *self.sample.last)
            wanted = next(
                (name for name in (*self.sample.first, *self.sample.last) if info.name.endswith(f":{name}")), None
            )
            found = found[:, [at for at, name in enumerate(names) if name == wanted]]
        return Laid(found, info.name not in self.turned) if found.shape == (info.units, count) else None

    def stacked(self, info: LayerInfo) -> tuple[Tensor, Tensor, bool] | None:
        """A layer's values, and what enters its activation function, for all images: each (n, units, positions)."""
        found = [self.reading(info, run) for run in self.readings]
        values = [
            None if one is None else self.laid(info, one.own if info.tap == "raw" else one.value) for one in found
        ]
        enters = [None if one is None else self.laid(info, one.entering) for one in found]
        known = [(one.values, two.values) for one, two in zip(values, enters, strict=True) if one and two]
        if len(known) != IMAGES:
            return None
        ordered = all(one is not None and one.in_order for one in values)
        return torch.stack([one for one, _ in known]), torch.stack([two for _, two in known]), ordered

    def reading(self, info: LayerInfo, run: dict[str, Reading]) -> Reading | None:
        """A layer's reading, whose module a token without a position shares with the others."""
        extras = (*self.sample.first, *self.sample.last)
        return run.get(
            next((info.name.removesuffix(f":{e}") for e in extras if info.name.endswith(f":{e}")), info.name)
        )


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


@dataclass(frozen=True)
class Listed:
    """Preprocessed images as a data set of two classes."""

    images: list[Tensor]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        return self.images[number], number % 2


@contextmanager
def evaluated(module: nn.Module) -> Iterator[None]:
    """Keep a network in evaluation mode."""
    flags = [(part, part.training) for part in module.modules()]
    for part, _ in flags:
        part.training = False
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        for part, was in flags:
            part.training = was


def brought_in_order(_norm: nn.Module, _given: object, output: Tensor) -> None:
    """Let a normalisation get its gradient in the order of its axes: PyTorch 2.14 takes a wrong one from tokens."""
    if output.requires_grad:
        output.register_hook(Tensor.contiguous)


def disturb(module: nn.Module) -> None:
    """Bring a network into the state of one that is being trained: with a gradient, a frozen weight and a hook."""
    for part in module.modules():
        part.training = True
    weights = [weight for weight in module.parameters() if weight.is_floating_point() and not is_lazy(weight)]
    if weights:
        weights[0].grad = torch.ones_like(weights[0])
        weights[-1].requires_grad_(False)
    if not isinstance(module, torch.jit.ScriptModule):
        next(module.children(), module).register_forward_hook(lambda *_: None)


def traces(module: nn.Module) -> dict[str, object]:
    """What a method could leave behind, in a network and in the process."""
    weights = dict(module.named_parameters())
    finished = {name: weight for name, weight in (*weights.items(), *module.named_buffers()) if not is_lazy(weight)}
    return {
        "hooks": [[len(getattr(part, table, ())) for table in HOOKS] for part in module.modules()],
        "training flags": [part.training for part in module.modules()],
        "requires_grad": [weight.requires_grad for weight in weights.values()],
        "gradients": [None if weight.grad is None else total(weight.grad) for weight in weights.values()],
        "weights and buffers": {name: total(weight) for name, weight in finished.items()},
        "names of weights": sorted(weights),
        "random numbers of torch": torch.get_rng_state().tolist(),
        "random numbers of Python": random.getstate(),
        "random numbers of NumPy": str(np.random.get_state()),
    }


def total(values: Tensor) -> complex:
    return complex(values.detach().to(torch.complex128).sum().item())
