"""Stand-ins for tensors while a model is traced: torch.fx proxies that know the real value behind them."""

import builtins
import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol, cast

import torch
from torch import Tensor, fx
from torch.autograd.function import FunctionCtx
from torch.fx.proxy import Attribute


class Knowing(Protocol):
    """A tracer that tells which values only depend on shapes."""

    def known(self, proxy: fx.Proxy) -> object:
        """Value of a proxy; a `TraceError` where it depends on more than shapes."""


class Valued(fx.Proxy):
    """A proxy that knows its value."""

    value: object

    def __getattr__(self, name: str) -> object:  # type: ignore[override]  # a real value, where it cannot vary
        if callable(getattr(type(self.value), name, None)) or name.startswith("__"):
            return Attribute(self, name)
        if not hasattr(self.value, name):
            raise AttributeError(name)
        found = getattr(self.value, name)
        if isinstance(found, (torch.device, torch.dtype, torch.layout, bool)) or name == "ndim":
            return found
        return self.tracer.create_proxy("call_function", getattr, (self, name), {})

    def __len__(self) -> int:
        return len(self.value)  # type: ignore[arg-type]  # as for the value itself: a TypeError where it has none

    def __index__(self) -> int:
        return int(cast(int, cast("Knowing", self.tracer).known(self)))

    __int__ = __index__

    def __float__(self) -> float:
        return float(cast(float, cast("Knowing", self.tracer).known(self)))


def flat(value: object) -> list[object]:
    """Every value in nested containers."""
    if isinstance(value, dict):
        return [item for part in value.values() for item in flat(part)]
    if isinstance(value, slice):
        return flat([value.start, value.stop, value.step])
    return [item for part in value for item in flat(part)] if isinstance(value, (tuple, list)) else [value]


def real(value: object) -> object:
    """Put the values in the place of the proxies."""
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
def whole_functions() -> Iterator[None]:
    """Take each custom autograd function as one node of the graph, even where its `apply` was looked up before."""
    original = torch.autograd.Function.__dict__["apply"]
    kinds: list[Any] = list(_kinds(torch.autograd.Function))
    forwards = [(kind, vars(kind)["forward"]) for kind in kinds if "forward" in vars(kind)]

    def taken(kind: type, usual: Callable[..., object], args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        proxies = [item for item in flat([args, kwargs]) if isinstance(item, fx.Proxy)]
        if not proxies:
            return usual(*args, **kwargs)
        given = [item for item in args if not isinstance(item, FunctionCtx)]

        def whole(*given: object, **named: object) -> object:
            return original.__get__(None, kind)(*given, **named)

        return proxies[0].tracer.create_proxy("call_function", whole, tuple(given), kwargs)

    def apply(cls: type, /, *args: object, **kwargs: object) -> object:
        return taken(cls, original.__get__(None, cls), args, kwargs)

    torch.autograd.Function.apply = classmethod(apply)
    for kind, forward in forwards:
        usual = forward.__get__(None, kind)
        kind.forward = staticmethod(lambda *a, _k=kind, _u=usual, **named: taken(_k, _u, a, named))
    try:
        yield
    finally:
        torch.autograd.Function.apply = original
        for kind, forward in forwards:
            kind.forward = forward


def _kinds(kind: type) -> Iterator[type]:
    """Every class that was made of a class, however far below."""
    made: list[type] = kind.__subclasses__()
    for below in made:
        yield below
        yield from _kinds(below)


@contextlib.contextmanager
def taken_for_tensors() -> Iterator[None]:
    """Let `isinstance` take a stand-in for the tensor that it stands for, as a forward pass may ask.

    To answer that by its class would deceive torch's own code too, which then reads memory that is not there.

    Yields:
        Nothing; `isinstance` is as it was at the end.
    """
    original = builtins.isinstance

    def is_instance(value: object, kind: Any, /) -> bool:
        if original(value, kind):
            return True
        meant = vars(value).get("value") if type(value) is Valued else None
        return original(meant, Tensor) and original(meant, kind)

    builtins.isinstance = is_instance
    try:
        yield
    finally:
        builtins.isinstance = original
