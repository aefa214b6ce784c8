"""What each layer gives, found without the project's own code: by forward hooks, and a log of all operations.

A layer's value is its module's output; if all that reads it is one normalisation, and then one activation function, it
is what they give.
"""

from collections import Counter
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

NORMS = ("native_batch_norm", "cudnn_batch_norm", "native_layer_norm", "native_group_norm")
NO_TRAINING = ("_native_batch_norm_legit_no_training", "_native_batch_norm_legit")
ACTIVATIONS = frozenset(
    {"relu", "hardtanh", "sigmoid", "tanh", "silu", "gelu", "hardswish", "hardsigmoid", "elu", "leaky_relu", "mish"}
    | {"softplus", "selu", "_prelu_kernel", "celu", "clamp"}
)
MOVES = ("permute", "transpose", "clone", "view", "_unsafe_view")
KEPT = {*NORMS, *ACTIVATIONS, *MOVES}


@dataclass(frozen=True)
class Reading:
    """What a layer gives for one image.

    Args:
        own: The output of its module.
        value: The value after the normalisation and activation function that directly follow.
        entering: What enters that activation function; the value itself without one.
        function: Name of the function's operation, such as `hardtanh`; empty without one.
        limits: The numbers that the operation was given, such as 0 and 6.
    """

    own: Tensor
    value: Tensor
    entering: Tensor
    function: str = ""
    limits: tuple[float, ...] = ()


@dataclass
class Event:
    """One operation: what it read, the numbers it was given, what it gave, and a copy of that as it was then."""

    name: str
    read: list[int]
    numbers: tuple[float, ...]
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
        name = func._schema.name.rpartition("::")[2]
        name = NORMS[0] if name in NO_TRAINING else name
        copy = gave[0].detach().clone() if gave and name.removesuffix("_") in KEPT else None
        numbers = tuple(float(x) for x in args if isinstance(x, (int, float)))
        shape = tuple(gave[0].shape) if gave else ()
        self.events.append(Event(name, read, numbers, [id(x) for x in gave], copy, shape))
        return result


def flat(value: object) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    return [x for item in value for x in flat(item)] if isinstance(value, (list, tuple)) else []


def read_layers(module: nn.Module, image: Tensor, names: Sequence[str]) -> dict[str, Reading]:
    """Read the modules with some names in a pass of one image; the second call of a module is `name:2`."""
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

    wanted = {name.partition(":")[0] for name in names}
    handles = [part.register_forward_hook(hook(name)) for name, part in module.named_modules() if name in wanted]
    with torch.no_grad(), log:
        module(image)
    for handle in handles:
        handle.remove()
    heads = {name: read_heads(module, image, name) for name in names if name.endswith(":heads")}
    return {name: followed(log.events, *rest) for name, rest in found.items()} | {
        name: Reading(norms, norms, norms) for name, norms in heads.items() if norms is not None
    }


def read_heads(module: nn.Module, image: Tensor, name: str) -> Tensor | None:
    """What each head of an attention writes: its norm, by running the attention with only the head's own weights.

    Args:
        module: The network.
        image: float (1, c, h, w).
        name: The layer, `ATTENTION:heads`.

    Returns:
        float (…, heads), with the other axes of the attention's output; None if it is not known which of its parts
        projects what the heads give.
    """
    part = module.get_submodule(name.partition(":")[0])
    count = getattr(part, "num_heads", 0)
    known = [inner for inner in ("out_proj", "proj", "o_proj") if isinstance(getattr(part, inner, None), nn.Linear)]
    given: list[tuple[tuple[Tensor, ...], dict[str, object]]] = []
    handle = part.register_forward_pre_hook(lambda _part, *inputs: given.append(inputs), with_kwargs=True)
    with torch.no_grad():
        module(image)
        handle.remove()
        if not known or not count or len(given) != 1:
            return None
        norms = []
        for head in range(count):
            alone = deepcopy(part)
            linear = alone.get_submodule(known[0])
            others = torch.arange(linear.in_features) // (linear.in_features // count) != head
            linear.weight[:, others] = 0
            if linear.bias is not None:
                linear.bias.zero_()
            args, named = given[0]
            norms.append(next(iter(flat([alone(*args, **named)]))).norm(dim=-1))
    return torch.stack(norms, -1)


def followed(events: list[Event], own: Tensor, at: int, start: int) -> Reading:
    """Follow an output to the normalisation and the activation function that directly follow."""
    best, value, normed = own, own, False
    while (event_at := only_reader(events, at, start)) is not None:
        event = events[event_at]
        plain = event.name.removesuffix("_")
        if event.copy is None or sorted(event.shape) != sorted(value.shape) or (event.name in NORMS and normed):
            break
        if plain in ACTIVATIONS:
            return Reading(own, event.copy, value, plain, event.numbers)
        value = event.copy
        if event.name in NORMS:
            best, normed = value, True
        at, start = event.gave[0], event_at + 1
    return Reading(own, best, best)


def only_reader(events: list[Event], at: int, start: int) -> int | None:
    """The one operation that reads a tensor before it is changed in place; None if there is none, or several."""
    readers = [number for number, event in enumerate(events) if number >= start and at in event.read]
    readers = readers[: next((i + 1 for i, n in enumerate(readers) if at in events[n].gave), len(readers))]
    return readers[0] if len(readers) == 1 else None
