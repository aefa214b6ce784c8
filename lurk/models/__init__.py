"""Where models come from: each file here is a source; this is their table, and what a model is to everything else."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from os import PathLike, fspath
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from lurk.errors import ModelError
from lurk.graph.layers import find_layers
from lurk.graph.plan import Plan
from lurk.models.preprocess import Preprocess as Preprocess
from lurk.models.preprocess_probe import Transform, assume, examine
from lurk.records import LayerInfo
from lurk.registry import Registry

PRETRAINED, UNTRAINED = "pretrained", "untrained"
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True)
class Network:
    """What a source gives: a module and whatever comes with it.

    Args:
        module: The network.
        source: What determines it, for provenance.
        name: What it is called on the page.
        preprocess: Its preprocessing, None where it brings none.
        classes: Names of its outputs, None where it brings none.
        weights: `pretrained`, `untrained`, or the name of the weights file.
        weight_hash: SHA-256 of the weights file, None where the weights do not come from one file.
        notice: What nobody may miss; empty where there is nothing.
        input_shape: (c, h, w) that it takes, None where it does not say.
    """

    module: nn.Module
    source: str
    name: str
    preprocess: Transform | None = None
    classes: tuple[str, ...] | None = None
    weights: str = PRETRAINED
    weight_hash: str | None = None
    notice: str = ""
    input_shape: tuple[int, int, int] | None = None


class Source(Protocol):
    """What a file of this folder enters into the table."""

    def accepts(self, source: str) -> bool:
        """Whether `--model` means this source."""

    def build(self, source: str, weights: str | None) -> Network:
        """Build the network that `--model` and `--weights` ask for."""

    def names(self) -> Iterable[str]:
        """Names that it knows, for messages."""


SOURCES = Registry[Source]("lurk.models", "--model", ModelError)


@dataclass(eq=False)
class Model:
    """A network that can be swept.

    Args:
        module: The network, on the CPU.
        preprocess: Makes a float32 (c, h, w) tensor of a picture.
        classes: Names of its outputs, None where they are not known.
        name: What it is called on the page.
        weights: `pretrained`, `untrained`, or the name of the weights file.
        source: What determines the network, for provenance.
        input_shape: (c, h, w) of a preprocessed picture.
        preprocessing: The preprocessing in words that determine it.
        mean: What the preprocessing subtracts from samples in [0, 1], a number a channel; None where not known.
        std: What it then divides by; None where not known.
        notice: What nobody may miss; empty where there is nothing.
    """

    module: nn.Module
    preprocess: Transform
    classes: tuple[str, ...] | None
    name: str
    weights: str
    source: str
    input_shape: tuple[int, int, int]
    preprocessing: str
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    notice: str = ""
    file_hash: str | None = field(default=None, repr=False)
    _plans: dict[object, Plan] = field(default_factory=dict, repr=False, init=False)

    @property
    def weight_hash(self) -> str:
        """SHA-256 of the weights file, else of the weights as they are now: names, types, shapes and bytes."""
        return self.file_hash or hash_weights(self.module)

    @property
    def dtype(self) -> torch.dtype:
        """Type of the network's floating-point weights, which its input must have as well."""
        return next((weight.dtype for weight in self.module.parameters() if weight.is_floating_point()), torch.float32)

    def normalised(self, pictures: Tensor) -> Tensor:
        """Turn pictures into what the network takes.

        Args:
            pictures: float (..., c, h, w), samples in [0, 1].

        Returns:
            The same shape, normalised as the preprocessing does; as it is where its normalisation is not known.
        """
        if self.mean is None or self.std is None:
            return pictures
        mean, std = (pictures.new_tensor(numbers).view(-1, 1, 1) for numbers in (self.mean, self.std))
        return (pictures - mean) / std

    def displayed(self, images: Tensor) -> Tensor:
        """Turn preprocessed images back into pictures: what `normalised` undoes, cut to [0, 1].

        Args:
            images: float (..., c, h, w), as the network takes them.

        Returns:
            The same shape, in [0, 1].
        """
        if self.mean is None or self.std is None:
            return images.clamp(0, 1)
        mean, std = (images.new_tensor(numbers).view(-1, 1, 1) for numbers in (self.mean, self.std))
        return (images * std + mean).clamp(0, 1)

    @cached_property
    def layers(self) -> list[LayerInfo]:
        """The default layers, in execution order."""
        return list(self.plan().layers)

    def plan(self, expression: str | None = None) -> Plan:
        """Analyse the network for its own input size; the last answer is kept until its parts or device change.

        Args:
            expression: Regular expression that narrows or widens the default layers.

        Returns:
            The plan of its layers.
        """
        parts = tuple((name, type(part)) for name, part in self.module.named_modules())
        key = (expression, next(self.module.parameters(), torch.zeros(0)).device, self.dtype, parts)
        if key not in self._plans:
            self._plans.clear()
            self._plans[key] = find_layers(self.module, self.input_shape, expression)
        return self._plans[key]


@torch.inference_mode(False)  # weights made in inference mode could never have gradients
def load_model(
    source: str | PathLike[str] | nn.Module | Model | Callable[..., object],
    *,
    weights: str | None = None,
    preprocess: Transform | None = None,
    classes: Iterable[str] | None = None,
    name: str | None = None,
    input_shape: tuple[int, int, int] | None = None,
) -> Model:
    """Load a model.

    Args:
        source: `efficientnet_lite0`, a torchvision classification network, `package.module:factory`,
            `path/file.py:factory`, or the network itself, or a function that makes it.
        weights: `DEFAULT`, a torchvision weights name, `random`, or a .pth, .pt or .safetensors file; by default the
            pretrained weights where they can be had.
        preprocess: Makes a float32 (c, h, w) tensor of a PIL picture; by default the model's own.
        classes: Names of the outputs; by default the model's own.
        name: What to call it.
        input_shape: (c, h, w) of a preprocessed picture, where neither the preprocessing nor the model determines it.

    Returns:
        The model.

    Raises:
        ModelError: The model cannot be found or built, or its preprocessing fails.
    """
    if isinstance(source, Model):
        built = _again(source, weights)
    elif isinstance(source, (str, PathLike)):
        built = _from_name(fspath(source), weights)
    else:
        from lurk.models.python import from_object

        built = from_object(source, weights)
    if any(isinstance(part, torch.jit.ScriptModule) for part in built.module.modules()):
        raise ModelError(
            f"{built.name} holds TorchScript, whose inside cannot be watched; give the network it was made of"
        )
    if isinstance(source, Model) and preprocess is not None:
        built = replace(built, input_shape=None)
    given = tuple(str(item) for item in classes) if classes is not None else built.classes
    shape = input_shape or built.input_shape
    if shape is not None and (len(shape) != 3 or any(not isinstance(side, int) or side < 1 for side in shape)):
        raise ModelError(f"input_shape must be three whole numbers above 0, (channels, height, width), not {shape}")
    transform, notes = preprocess or built.preprocess, [built.notice]
    if transform is None:
        transform, assumed = assume(built.module, shape)
        notes.append(assumed)
    seen = examine(transform, shape, _channels(built.module))
    notes.append(seen.notice)
    return Model(
        built.module,
        seen.transform,
        given,
        name or built.name,
        built.weights,
        built.source,
        seen.shape,
        seen.description,
        seen.mean,
        seen.std,
        "; ".join(note for note in notes if note),
        built.weight_hash,
    )


def _from_name(source: str, weights: str | None) -> Network:
    """Build what a name stands for."""
    for kind in SOURCES:
        if SOURCES[kind].accepts(source):
            built = SOURCES[kind].build(source, weights)
            built.module.eval()
            return built
    import difflib

    known = sorted({name for kind in SOURCES for name in SOURCES[kind].names()})
    close = difflib.get_close_matches(source.lower(), known, n=3)
    hint = (
        f"did you mean {' or '.join(close)}?"
        if close
        else f"known are: {', '.join(known[:6])} and {len(known) - 6} more,"
    )
    more = "" if close else " torchvision's classification networks, package.module:factory and file.py:factory"
    if Path(source).is_file():
        hint, more = "a file of weights goes with --weights, beside a --model", ""
    raise ModelError(f"no model is called {source!r}; {hint}{more}")


def _again(model: Model, weights: str | None) -> Network:
    """A model loaded before, perhaps with other weights."""
    built = Network(model.module, model.source, model.name, model.preprocess, model.classes, model.weights)
    if weights is None:
        return replace(built, weight_hash=model.file_hash, notice=model.notice, input_shape=model.input_shape)
    from lurk.models.python import with_weights

    return with_weights(built, weights)


def _channels(module: nn.Module) -> int | None:
    """Channels that the first convolution takes, None without one."""
    first = next((part for part in module.modules() if isinstance(part, CONVOLUTIONS)), None)
    return first.in_channels if first is not None and first.in_channels else None


def hash_weights(module: nn.Module) -> str:
    """SHA-256 over names, types, shapes and bytes of all parameters and buffers.

    Args:
        module: The network.

    Returns:
        64 hexadecimal digits, the same for equal weights on any device.
    """
    total = hashlib.sha256()
    tensors: dict[str, Tensor] = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    for name, tensor in sorted(tensors.items()):
        total.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)};".encode())
        values = tensor.detach().cpu().contiguous().reshape(-1)
        total.update(values.view(torch.uint8).numpy().data)
    return total.hexdigest()
