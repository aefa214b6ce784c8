"""Which operators of torch a program may run, and the functions that stand for them.

Convolutions, linear layers and batch normalisations run by the functions that modules call, so that the rules of
relevance find them. Numbers and lists are computed in Python, so that what depends on shapes alone stays so.
"""

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx
from torch.nn import functional

from lurk.errors import ModelError
from lurk.graph.receptive.rules import words
from lurk.graph.trace import SHAPE_QUERIES
from lurk.graph.trace_proxies import is_instance, real

Run = Callable[..., Any]
SPACES = ("aten", "torchvision")
FORBIDDEN = words("save from_file manual_seed set_ set_data resize_")  # files, chance, memory
TRAINING = ("train", "training")
DIRECT: dict[str, Run] = {
    **{name: getattr(torch, name) for name in words("conv1d conv2d conv3d batch_norm")},
    **{f"conv_transpose{axes}d": getattr(torch, f"conv_transpose{axes}d") for axes in (1, 2, 3)},
    "linear": functional.linear,
    "__is__": operator.is_,
    "__isnot__": operator.is_not,
    "warn": lambda *_: None,
    "is_grad_enabled": lambda: True,  # so that no fused way around the modules is taken
}


def divided(one: float, two: float, rounding_mode: str | None = None) -> float:
    """Divide two numbers as `torch.div` does."""
    if rounding_mode is None:
        return one / two
    return one // two if rounding_mode == "floor" else int(one / two)


def convolved(  # noqa: PLR0913, PLR0917 - the signature of the operator
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
    *_settings: bool,
) -> Tensor:
    """Convolve as the general operator does, which traces hold, by the function for the number of axes."""
    name = f"conv_transpose{len(stride)}d" if transposed else f"conv{len(stride)}d"
    rest = (output_padding, groups, dilation) if transposed else (dilation, groups)
    found: Tensor = getattr(torch, name)(x, weight, bias, stride, padding, *rest)
    return found


DIRECT |= {
    "_convolution": convolved,
    "convolution": convolved,
    "_native_batch_norm_legit_no_training": lambda x, weight, bias, mean, var, momentum, eps: (
        torch.batch_norm(x, weight, bias, mean, var, False, momentum, eps, True),
    ),
    "native_layer_norm": lambda x, shape, weight, bias, eps: (torch.layer_norm(x, shape, weight, bias, eps),),
}
NUMBERS: dict[str, Run] = {
    **{name: getattr(operator, name) for name in words("sub mul lt gt le ge eq ne neg pow")},
    "add": lambda one, two, alpha=1: one + two * alpha if isinstance(alpha, int) and alpha != 1 else one + two,
    "rsub": lambda one, two, _alpha=1: two - one,
    "floordiv": operator.floordiv,
    "floor_divide": operator.floordiv,
    "div": divided,
    "remainder": operator.mod,
    "fmod": math.fmod,
    "__and__": operator.and_,
    "__or__": operator.or_,
    "__not__": operator.not_,
    "floor": math.floor,
    "ceil": math.ceil,
    "sqrt": math.sqrt,
    "round": round,
    "abs": abs,
    "min": min,
    "max": max,
    "str": str,
    "Int": lambda value: value,
    "Float": lambda value: value,
    "Bool": lambda value: value,
    "ScalarImplicit": lambda value: value,
    "IntImplicit": lambda value: value,
    "FloatImplicit": lambda value: value,
    "to": lambda value, *_: value,
    "detach": lambda value: value,
    "clone": lambda value, *_: value,
    "__range_length": lambda low, high, step: len(range(low, high, step)),
    "__derive_index": lambda index, start, step: start + index * step,
}
CONTAINERS: dict[str, Run] = {
    "__getitem__": operator.getitem,
    "_set_item": operator.setitem,
    "__contains__": operator.contains,
    "len": len,
    "append": lambda items, value: items.append(value) or items,
    "extend": lambda items, more: items.extend(more),
    "insert": lambda items, at, value: items.insert(at, value),
    "pop": lambda items, *at: items.pop(*at),
    "reverse": lambda items: items.reverse(),
    "slice": lambda items, low=None, high=None, step=None: list(items)[low:high:step],
    "add": lambda one, two: one + two if isinstance(one, str) else [*one, *two],
    "mul": lambda items, count: list(items) * count,
    "eq": lambda one, two: _as_list(one) == _as_list(two),
    "ne": lambda one, two: _as_list(one) != _as_list(two),
    "list": list,
    "copy": lambda items: items.copy(),
    "keys": lambda items: list(items.keys()),
    "values": lambda items: list(items.values()),
    "items": lambda items: list(items.items()),
    "format": lambda text, *values: text.format(*values),
    "percentFormat": lambda text, *values: text % values,
    "join": lambda text, items: text.join(items),
    "sum": sum,
    "any": any,
    "all": all,
    "min": min,
    "max": max,
}
CONVERSIONS: dict[str, Run] = {
    "Int": int,
    "Float": float,
    "Bool": bool,
    "IntImplicit": int,
    "FloatImplicit": float,
    "ScalarImplicit": lambda value: value.item(),
    "item": lambda value: value.item(),
}


def _as_list(value: object) -> object:
    return list(value) if isinstance(value, (tuple, list)) else value


def operator_named(name: str, overload: str = "") -> Run:
    """The function that runs an operator.

    Args:
        name: Its name with its namespace, such as `aten::relu`.
        overload: Which of the operators of that name; empty for the one without such a name.

    Returns:
        A function of its arguments.

    Raises:
        ModelError: There is no such operator, or a program from a file may not run it.
    """
    space, _, plain = name.partition("::")
    packet = getattr(getattr(torch.ops, space), plain, None) if space in SPACES else None
    exact: Run | None = getattr(packet, overload or "default", None)
    known = (*NUMBERS, *CONTAINERS, *CONVERSIONS, *DIRECT)
    if plain in FORBIDDEN or (exact is None and not (space == "aten" and plain in known)):
        raise ModelError(f"it runs the operator {name}, which is not run here; give the Python code of the network")
    if plain in DIRECT and space == "aten":
        return DIRECT[plain]

    def run(*args: object, **kwargs: object) -> object:
        return _chosen(plain, exact, args)(*args, **kwargs)

    return exact if exact is not None and plain not in (*known, *SHAPE_QUERIES) else run


def _chosen(name: str, exact: Run | None, args: Sequence[object]) -> Run:
    """The function that fits the kind of the arguments."""
    first = args[0] if args else None
    if name in SHAPE_QUERIES and is_instance(first, Tensor):
        return lambda value, *rest: _asked(getattr(value, name), rest)
    if name in CONTAINERS and isinstance(
        real(first) if isinstance(first, fx.Proxy) else first, (list, tuple, dict, str)
    ):
        return CONTAINERS[name]
    has_tensor = any(is_instance(value, Tensor) for value in args)
    if name in NUMBERS and not has_tensor:
        return NUMBERS[name]
    if name == "len":
        return len
    return CONVERSIONS.get(name) or exact or NUMBERS[name]


def _asked(answer: object, rest: Sequence[object]) -> object:
    return answer(*rest) if callable(answer) else answer


def is_training(names: Sequence[str], values: Mapping[str, object]) -> bool:
    """Whether an operator is fixed in training mode, so that dropout drops and statistics are those of the batch.

    Args:
        names: The names of its arguments.
        values: Those of its arguments that are constants, by name.

    Returns:
        Whether it is; not for a batch normalisation without other statistics, nor for a dropout whose share is not
        known.
    """
    if "p" in names and not values.get("p"):
        return False
    has_statistics = "running_mean" not in names or values.get("running_mean", True) is not None
    return has_statistics and any(values.get(name) is True for name in TRAINING)
