"""The graph of a model: torch.fx with a real value behind every proxy, so that shapes may steer the code.

A branch on a shape is followed as it falls for this input shape. A model that branches on the content of a tensor
cannot be traced.
"""

import contextlib
import operator
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import FunctionType
from typing import cast

import torch
from torch import Tensor, fx, nn
from torch.fx.node import Argument
from torch.fx.proxy import TraceError
from torch.nn import functional

from lurk.graph.plan import attribute
from lurk.graph.receptive.coordinates import IMAGES, thin
from lurk.graph.receptive.rules import words
from lurk.graph.recorder import Recorder, coordinates_of
from lurk.graph.trace_proxies import Valued, accepted, flat, opened, real

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
SHAPE_QUERIES = words(
    "size dim numel ndimension nelement stride element_size is_floating_point is_complex is_contiguous type "
    "get_device shape ndim dtype device layout requires_grad is_cuda is_sparse is_nested is_quantized training "
    "itemsize"
)

_ONE_AT_A_TIME = threading.RLock()  # torch.fx, too, replaces methods of every module while it traces
RAGGED = words("nonzero masked_select _unique2 unique_dim unique_consecutive bincount repeat_interleave")


@dataclass(eq=False)
class Call:
    """One call of a module in the forward pass.

    Args:
        name: Dotted name of the module, `name:2` for its second call.
        path: Dotted name of the module.
        parent: The call in whose code this one was made.
        inputs: Nodes of its arguments.
        output: Node of its output, or None if that is not a single value.
    """

    name: str
    path: str
    parent: "Call | None"
    inputs: list[fx.Node]
    output: fx.Node | None = None


@dataclass(frozen=True)
class Value:
    """What is known of the value of a node.

    Args:
        shape: Shape of the tensor; None if the value is not a tensor.
        field: Coordinates of what it depends on, None if it is constant.
        operations: The operations that made it.
        owner: The call in whose code it was made.
        static: Whether it depends on shapes only and is not a tensor.
        same: The node whose tensor it passes on or changes in place.
        floating: Whether it is a tensor of floating-point numbers.
        ragged: Whether its shape depends on the content of a tensor.
        counts_images: Whether it is made of a number that may be that of the images in the batch.
    """

    shape: tuple[int, ...] | None
    field: Tensor | None
    operations: tuple[str, ...]
    owner: Call | None
    static: bool
    same: fx.Node | None
    floating: bool
    ragged: bool
    counts_images: bool


@dataclass
class Trace:
    """The graph of one forward pass, the calls in it, and what is known of each node.

    Args:
        graph: The operations.
        calls: The calls of modules.
        values: What is known of the value of each node.
        output: The output of the forward pass.
        constants: Tensors that the graph reads but the module does not hold.
        counts_images: Whether the code read a number that may be that of the images, so that the graph may hold for
            one batch size only.
    """

    graph: fx.Graph
    calls: list[Call]
    values: dict[fx.Node, Value]
    output: object
    constants: dict[str, Tensor] = field(default_factory=dict)
    counts_images: bool = False


class _Tracer(fx.Tracer):
    def __init__(self, probe: Tensor, recorder: Recorder, *, whole: bool) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self.values: dict[fx.Node, Value] = {}
        self._probe, self._recorder, self._has_closed_leaves = probe, recorder, whole
        self._running, self._thread = False, threading.get_ident()
        self.output: object = None
        self.counts_images = self.failed_inside_a_leaf = False
        self._stack: list[Call] = []
        self._opening: list[FunctionType] = []
        self._counts: Counter[str] = Counter()

    def create_args_for_root(
        self, root_fn: Callable[..., object], is_module: bool, concrete_args: object = None
    ) -> tuple[Callable[..., object], list[object]]:
        def forward(*args: object) -> object:
            output = root_fn(*args)
            self.output = real(output)
            return output

        return forward, [self.root, self.create_proxy("placeholder", "image", (), {})]

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        is_opened = not self._has_closed_leaves and self._can_be_opened(m, module_qualified_name)
        return super().is_leaf_module(m, module_qualified_name) and not is_opened

    def _can_be_opened(self, m: nn.Module, name: str) -> bool:
        """Whether a module of torch's own is made of modules that are worth a look."""
        is_made_of_parts = any(True for _ in m.children())
        is_one = isinstance(m, (nn.Linear, *CONVOLUTIONS))
        return super().is_leaf_module(m, name) and is_made_of_parts and not is_one

    def call_module(
        self, m: nn.Module, forward: Callable[..., object], args: tuple[object, ...], kwargs: dict[str, object]
    ) -> object:
        if self._running or threading.get_ident() != self._thread:
            return forward(*args, **kwargs)
        try:
            path = self.path_of_module(m)
        except NameError:  # made on the fly, not a part of the model
            return forward(*args, **kwargs)
        self._counts[path] += 1
        name = path if self._counts[path] == 1 else f"{path}:{self._counts[path]}"
        given = [value.node for value in flat([args, kwargs]) if isinstance(value, fx.Proxy)]
        call = Call(name, path, self._stack[-1] if self._stack else None, given)
        self._stack.append(call)
        try:
            output = super().call_module(m, forward, args, kwargs)
        except Exception:
            self.failed_inside_a_leaf |= self._can_be_opened(m, path)
            raise
        finally:
            self._stack.pop()
        if isinstance(output, fx.Proxy):
            call.output = output.node
        self.calls.append(call)
        return output

    def getattr(self, attr: str, attr_val: object, parameter_proxy_cache: dict[str, fx.Proxy]) -> object:
        is_other = self._running or threading.get_ident() != self._thread
        return attr_val if is_other else super().getattr(attr, attr_val, parameter_proxy_cache)

    def create_arg(self, a: object) -> Argument:
        return a.node if isinstance(a, fx.Proxy) else super().create_arg(a)

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return Valued(node, self)

    def create_proxy(
        self, kind: str, target: object, args: object, kwargs: object, *rest: object, **more: object
    ) -> fx.Proxy:
        if isinstance(target, FunctionType) and self._is_opened(target):
            return self._open(target, args, kwargs)
        given = flat([args, kwargs])
        proxies = [item for item in given if isinstance(item, fx.Proxy)]
        self._recorder.operations.clear()
        value = self._run(kind, target, real(args), real(kwargs))
        operations = tuple(self._recorder.operations)
        made = super().create_proxy(kind, target, args, kwargs, *rest, **more)  # type: ignore[arg-type]  # fx's own types
        vars(made)["value"] = value
        shape = tuple(value.shape) if isinstance(value, Tensor) else None
        field = coordinates_of(value)
        ragged = any(name in RAGGED for name in operations) or any(self.values[p.node].ragged for p in proxies)
        is_query = kind != "call_module" and _name(target, given) in SHAPE_QUERIES and not ragged
        static = not isinstance(value, Tensor) and (is_query or all(self.values[p.node].static for p in proxies))
        same = next((p.node for p in proxies if shape is not None and real(p) is value), None)
        owner = self._stack[-1] if self._stack else None
        floating = isinstance(value, Tensor) and value.is_floating_point()
        counts = static and self._counts_images(value, proxies)
        self.values[made.node] = Value(
            shape, None if field is None else thin(field), operations, owner, static, same, floating, ragged, counts
        )
        return made

    def _is_opened(self, function: FunctionType) -> bool:
        """Whether a function that would be one node, such as those of `torch.fx.wrap`, may have attention in it."""
        if self._has_closed_leaves or function in self._opening:
            return False
        is_torchs = function.__module__.startswith("torch.")
        names = set() if is_torchs else {"softmax", "scaled_dot_product_attention"} & set(function.__code__.co_names)
        return bool(names) or function is functional.multi_head_attention_forward

    def _open(self, function: FunctionType, args: object, kwargs: object) -> fx.Proxy:
        """Run a function on stand-ins, so that what it does becomes nodes of the graph."""
        counts_images = self.counts_images
        self._opening.append(function)
        try:
            output = opened(function)(*cast(tuple[object, ...], args), **cast(dict[str, object], kwargs))
        except Exception:
            self.failed_inside_a_leaf = True
            raise
        finally:
            self._opening.pop()
        if function.__module__ == functional.__name__:  # torch's own holds for any number of images
            self.counts_images = counts_images
        return cast(fx.Proxy, output)

    def _counts_images(self, value: object, proxies: list[fx.Proxy]) -> bool:
        """Whether a number or shape is made of a number that may be that of the images."""
        if not isinstance(value, bool) and all(isinstance(real(proxy), (Tensor, torch.Size)) for proxy in proxies):
            return any(isinstance(item, int) and item and item % IMAGES == 0 for item in flat(value))
        return any(self.values[proxy.node].counts_images for proxy in proxies)

    def _run(self, kind: str, target: object, args: object, kwargs: object) -> object:
        positional, named = cast(tuple[object, ...], args), cast(dict[str, object], kwargs)
        if kind == "placeholder":
            return self._probe
        self._running = True
        try:
            if kind == "get_attr":
                return attribute(self.root, str(target))
            with self._recorder:
                if kind == "call_module":
                    return self.root.get_submodule(str(target))(*positional, **named)
                if kind == "call_method":
                    return getattr(positional[0], str(target))(*positional[1:], **named)
                return cast(Callable[..., object], target)(*positional, **named)
        finally:
            self._running = False

    def known(self, proxy: fx.Proxy) -> object:
        """Return the value of a proxy; a `TraceError` if it depends on more than shapes."""
        if not self.values[proxy.node].static:
            raise TraceError("the forward pass depends on the content of a tensor")
        self.counts_images |= self.values[proxy.node].counts_images
        return real(proxy)

    def length(self, proxy: fx.Proxy) -> int:
        """Return the length of a value."""
        value = real(proxy)
        found = len(value)  # type: ignore[arg-type]  # a TypeError if it has none, as for the value itself
        self.counts_images |= isinstance(value, Tensor) and found > 0 and found % IMAGES == 0
        return found

    def assign(self, proxy: fx.Proxy, key: object, value: object) -> None:
        """Set a part of a constant; a TypeError if the image is in it."""
        given = [item.node for item in flat([proxy, key, value]) if isinstance(item, fx.Proxy)]
        if any(self.values[node].field is not None for node in given):
            raise TypeError("a part of a tensor is set, which cannot be followed")
        self.create_proxy("call_function", operator.setitem, (proxy, key, value), {})

    def to_bool(self, obj: fx.Proxy) -> bool:
        return bool(self.known(obj))

    def iter(self, obj: fx.Proxy) -> Iterator[object]:
        value = real(obj)
        if isinstance(value, dict):
            return iter(list(value))
        items = range(self.length(obj))
        return (self.create_proxy("call_function", operator.getitem, (obj, i), {}) for i in items)


def _name(target: object, given: list[object]) -> str:
    if target is getattr and len(given) > 1:
        return str(given[1])
    return target if isinstance(target, str) else ""


def trace_module(module: nn.Module, probe: Tensor, recorder: Recorder) -> Trace | None:
    """Trace a module's forward pass.

    Args:
        module: The model, in evaluation mode.
        probe: Coordinates in the place of images, which it runs on.
        recorder: Runs the operations on coordinates.

    Returns:
        The trace, or None if the module cannot be traced.
    """
    tracer = _Tracer(probe, recorder, whole=False)
    trace = _traced(module, tracer)
    if trace is None and tracer.failed_inside_a_leaf:
        trace = _traced(module, _Tracer(probe, recorder, whole=True))
    return trace


def _traced(module: nn.Module, tracer: _Tracer) -> Trace | None:
    # a proxy may fail in any way
    with contextlib.suppress(Exception), torch.no_grad(), _ONE_AT_A_TIME, accepted(module):
        graph = tracer.trace(module)
        read = {str(node.target) for node in graph.nodes if node.op == "get_attr"}
        made = {name: attribute(module, name) for name in read if name.startswith("_tensor_constant")}
        constants = {name: value for name, value in made.items() if isinstance(value, Tensor)}
        _prune(graph, tracer.values)
        return Trace(graph, tracer.calls, tracer.values, tracer.output, constants, tracer.counts_images)
    return None


def _prune(graph: fx.Graph, values: dict[fx.Node, Value]) -> None:
    for node in reversed(graph.nodes):
        if node in values and values[node].static and not node.users and node.op in ("call_function", "call_method"):
            graph.erase_node(node)
