"""What each layer gives, found without the project's own code: by forward hooks, and a log of all operations.

A layer's value is its module's output; if all that reads it is one normalisation, and then one activation function, it
is what they give.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

NORMS = ("native_batch_norm", "cudnn_batch_norm", "native_layer_norm", "native_group_norm")
ACTIVATIONS = frozenset(
    {"relu", "hardtanh", "sigmoid", "tanh", "silu", "gelu", "hardswish", "hardsigmoid", "elu", "leaky_relu", "mish"}
    | {"softplus", "selu", "_prelu_kernel", "celu", "clamp"}
)
MOVES = ("permute", "transpose", "clone")


@dataclass
class Event:
    """One operation: what it read, what it gave, and a copy of that as it was then."""

    name: str
    read: list[int]
    gave: list[int]
    copy: Tensor | None
    shape: tuple[int, ...]


class Log(TorchDispatchMode):
    """Keeps every operation while a network runs."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Event] = []
        self.alive: list[object] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]  # as torch calls it
        read = [id(x) for x in flat([args, list((kwargs or {}).values())])]
        result = func(*args, **(kwargs or {}))
        gave = flat([result])
        self.alive += [args, kwargs, result]
        name = func._schema.name.rpartition("::")[2].replace("_native_batch_norm_legit_no_training", NORMS[0])
        copy = gave[0].detach().clone() if gave and name.removesuffix("_") in KEPT else None
        self.events.append(Event(name, read, [id(x) for x in gave], copy, tuple(gave[0].shape) if gave else ()))
        return result


KEPT = {*NORMS, *ACTIVATIONS, *MOVES}


def flat(value: object) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    return [x for item in value for x in flat(item)] if isinstance(value, (list, tuple)) else []


def layer_values(module: nn.Module, image: Tensor, names: Sequence[str]) -> dict[str, tuple[Tensor, Tensor]]:
    """For each layer by name its module's own output, and its value, for a batch of one image."""
    wanted = {name.partition(":")[0] for name in names}
    calls: Counter[str] = Counter()
    found: dict[str, tuple[Tensor, int, int]] = {}
    log = Log()

    def hook(name: str):  # type: ignore[no-untyped-def]  # as torch wants it
        def keep(_part: nn.Module, _given: object, output: object) -> None:
            calls[name] += 1
            if isinstance(output, Tensor):
                key = name if calls[name] == 1 else f"{name}:{calls[name]}"
                found[key] = (output.detach().clone(), id(output), len(log.events))
                log.alive.append(output)

        return keep

    handles = [part.register_forward_hook(hook(name)) for name, part in module.named_modules() if name in wanted]
    with torch.no_grad(), log:
        module(image)
    for handle in handles:
        handle.remove()
    return {name: (own, followed(log.events, own, at, start)) for name, (own, at, start) in found.items()}


def followed(events: list[Event], own: Tensor, at: int, start: int) -> Tensor:
    """The value after the normalisation and the activation that directly follow."""
    value, normed = own, False
    while True:
        readers = [number for number, event in enumerate(events) if number >= start and at in event.read]
        readers = readers[: next((i + 1 for i, n in enumerate(readers) if at in events[n].gave), len(readers))]
        if len(readers) != 1:
            return value
        event = events[readers[0]]
        plain = event.name.removesuffix("_")
        if event.copy is None or sorted(event.shape) != sorted(value.shape):
            return value
        if event.name in NORMS and not normed:
            value, normed = event.copy, True
        elif plain in KEPT and event.name not in NORMS and plain not in MOVES:
            return event.copy
        elif event.name not in MOVES:
            return value
        else:
            later = followed(events, event.copy, event.gave[0], readers[0] + 1)
            return later if later is not event.copy else value
        at, start = event.gave[0], readers[0] + 1
