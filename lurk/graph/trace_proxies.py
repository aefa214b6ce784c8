"""Stand-ins for tensors while a model is traced: torch.fx proxies that know the value behind them."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any, Protocol, cast

import torch
from torch import Tensor, fx, nn
from torch.autograd.function import FunctionCtx
from torch.fx.proxy import Attribute

TRANSPOSES = ("T", "mT", "H", "mH")  # reading one of them is an operation


class StaticValues(Protocol):
    """A tracer that tells which values depend on shapes only."""

    def known(self, proxy: fx.Proxy) -> object:
        """Return the value of a proxy; a `TraceError` if it depends on more than shapes."""

    def length(self, proxy: fx.Proxy) -> int:
        """Return the length of a value."""

    def iter(self, obj: fx.Proxy) -> Iterator[object]:
        """Return the items of a value, each a proxy."""

    def assign(self, proxy: fx.Proxy, key: object, value: object) -> None:
        """Set a part of a constant; a TypeError if the image is in it."""


class Valued(fx.Proxy):
    """A proxy that knows its value."""

    value: object

    def __getattr__(self, name: str) -> object:  # type: ignore[override]  # a real value if it cannot vary
        if callable(getattr(type(self.value), name, None)) or name.startswith("__"):
            return Attribute(self, name)
        if name in TRANSPOSES:
            return self.tracer.create_proxy("call_function", getattr, (self, name), {})
        if not hasattr(self.value, name):
            raise AttributeError(name)
        found = getattr(self.value, name)
        if isinstance(found, (torch.device, torch.dtype, torch.layout, bool)) or name == "ndim":
            return found
        return self.tracer.create_proxy("call_function", getattr, (self, name), {})

    def __len__(self) -> int:
        return cast("StaticValues", self.tracer).length(self)

    def __iter__(self) -> Iterator[object]:  # type: ignore[override]  # fx reads the caller's code, which takes long
        return cast("StaticValues", self.tracer).iter(self)

    def __index__(self) -> int:
        return int(cast(int, cast("StaticValues", self.tracer).known(self)))

    __int__ = __index__

    def __float__(self) -> float:
        return float(cast(float, cast("StaticValues", self.tracer).known(self)))

    def __setitem__(self, key: object, value: object) -> None:
        cast("StaticValues", self.tracer).assign(self, key, value)


def opened(function: FunctionType) -> Callable[..., object]:
    """Copy a function of torch so that it runs on stand-ins, where it would only hand them its own name."""
    names = {**function.__globals__, "has_torch_function": lambda _given: False}
    copy = FunctionType(function.__code__, names, function.__name__, function.__defaults__, function.__closure__)
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


def flat(value: object) -> list[object]:
    """Return every value in nested containers."""
    if isinstance(value, dict):
        return [item for part in value.values() for item in flat(part)]
    if isinstance(value, slice):
        return flat([value.start, value.stop, value.step])
    return [item for part in value for item in flat(part)] if isinstance(value, (tuple, list)) else [value]


def real(value: object) -> object:
    """Replace proxies by their values."""
    if isinstance(value, Attribute):
        return getattr(real(value.root), value.attr)
    if isinstance(value, fx.Proxy):
        return vars(value)["value"]
    if isinstance(value, dict):
        return {real(key): real(item) for key, item in value.items()}
    if isinstance(value, slice):
        return slice(real(value.start), real(value.stop), real(value.step))
    if isinstance(value, tuple):
        items = tuple(real(item) for item in value)
        return items if type(value) is tuple else type(value)._make(items)  # type: ignore[attr-defined]  # named tuple
    return [real(item) for item in value] if isinstance(value, list) else value


@contextlib.contextmanager
def accepted(module: nn.Module) -> Iterator[None]:
    """Let the code of a model take stand-ins for tensors while it is traced.

    Its `isinstance` recognises a stand-in, and each custom autograd function becomes one node of the graph. Nothing is
    replaced but names in the model's own packages, and for everything else they do what they did.

    Args:
        module: The model.

    Yields:
        Nothing; the names are as they were at the end.
    """
    functions = [kind for kind in _kinds(torch.autograd.Function) if not kind.__module__.startswith("torch.")]
    with contextlib.ExitStack() as stack:
        for space in _namespaces(module):
            if "isinstance" not in space:
                space["isinstance"] = is_instance
                stack.callback(space.pop, "isinstance", None)
        for kind in functions:
            for name, replaced in (("forward", _as_one_node), ("setup_context", _unless_stand_in)):
                if name in vars(kind):
                    stack.callback(setattr, kind, name, vars(kind)[name])
                    setattr(kind, name, staticmethod(replaced(kind, getattr(kind, name))))
        yield


def _namespaces(module: nn.Module) -> list[dict[str, object]]:
    """Names that the packages of a model's parts see, and those that `torch.is_tensor` sees."""
    kinds = {kind for part in module.modules() for kind in type(part).__mro__}
    roots = {kind.__module__.partition(".")[0] for kind in kinds} - {"torch", "builtins", "lurk"}
    return [vars(torch), *(vars(found) for name, found in list(sys.modules.items()) if name.partition(".")[0] in roots)]


def is_instance(value: object, kind: Any, /) -> bool:
    """Answer as `isinstance` does, for a stand-in as for the tensor in whose place it is.

    To let the class of the stand-in say so would deceive torch's own code too, which then reads memory that is not
    there.

    Args:
        value: Any value.
        kind: A class, or what else `isinstance` takes.

    Returns:
        Whether the value is of that class.
    """
    if isinstance(value, kind):
        return True
    meant = vars(value).get("value") if type(value) is Valued else None
    return isinstance(meant, Tensor) and isinstance(meant, kind)


def _as_one_node(kind: Any, usual: Callable[..., object]) -> Callable[..., object]:
    def apply(*args: object, **kwargs: object) -> object:
        return kind.apply(*args, **kwargs)

    def forward(*args: object, **kwargs: object) -> object:
        proxies = [item for item in flat([args, kwargs]) if isinstance(item, fx.Proxy)]
        if not proxies:
            return usual(*args, **kwargs)
        given = tuple(item for item in args if not isinstance(item, FunctionCtx))
        return proxies[0].tracer.create_proxy("call_function", apply, given, kwargs)

    return forward


def _unless_stand_in(_kind: object, usual: Callable[..., object]) -> Callable[..., object]:
    def setup_context(ctx: object, inputs: object, output: object) -> object:
        return None if any(isinstance(item, fx.Proxy) for item in flat(inputs)) else usual(ctx, inputs, output)

    return setup_context


def _kinds(kind: type) -> Iterator[type]:
    """Yield every class derived from a class."""
    derived: list[type] = kind.__subclasses__()
    for below in derived:
        yield below
        yield from _kinds(below)
