"""Watching a model while it runs, and the graph of its gradients. Only this module registers hooks.

Those of modules are always removed; those of a graph end with it.
"""

import copy
import operator
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.autograd.graph import Node

from lurk.graph.heads.head_norms import reader
from lurk.graph.layout.activation_layout import Layout
from lurk.graph.plan import Plan, Tap

Receive = Callable[[int, Tensor], None]
ReceiveUncut = Callable[[int, tuple[float, float], Tensor], None]
Read = Callable[[Tensor], Tensor]
Forward = Callable[[Tensor], object]
Takers = dict[str, list[Callable[[object], None]]]
Alter = Callable[[tuple[Tensor | None, ...], tuple[Tensor | None, ...]], tuple[Tensor | None, ...] | None]


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put a module into evaluation mode and leave it as it was: training flags, requires_grad and gradients."""
    flags = [(part, part.training) for part in module.modules()]
    weights = [(weight, weight.requires_grad, weight.grad) for weight in module.parameters()]
    try:
        for part, _ in flags:
            part.training = False
        yield
    finally:
        for part, was in flags:
            part.training = was
        for weight, needed, grad in weights:
            weight.requires_grad_(needed)
            weight.grad = grad


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Put a module into evaluation mode with frozen weights and gradients on, and leave it as it was."""
    with evaluating(module), torch.inference_mode(False), torch.enable_grad():
        for weight in module.parameters():
            weight.requires_grad_(False)
        yield


@contextmanager
def undisturbed(module: nn.Module) -> Iterator[None]:
    """Put a module into evaluation mode and undo what its code stores on itself: attributes, caches, hooks, buffers."""
    tables = ("_parameters", "_buffers", "_modules", "_forward_hooks", "_forward_pre_hooks")
    kept = [(part, dict(part.__dict__), {t: dict(part.__dict__[t]) for t in tables}) for part in module.modules()]
    caches = [
        (cache, copy.copy(cache)) for part in module.modules() for cache in vars(part).values() if _is_plain(cache)
    ]
    buffers = [(buffer, buffer.detach().clone()) for buffer in module.buffers()]
    with evaluating(module):
        try:
            yield
        finally:
            for part, attributes, inner in kept:
                part.__dict__.clear()
                part.__dict__.update(attributes)
                for name, entries in inner.items():
                    _refill(attributes[name], entries)
            for cache, entries in caches:
                _refill(cache, entries)
            for buffer, value in buffers:
                if buffer._version:
                    buffer.detach().copy_(value)


def _is_plain(value: object) -> bool:
    return type(value) in (dict, list)


def _is_same(one: Any, two: Any) -> bool:
    return all(map(operator.is_, one, two)) if type(one) is tuple is type(two) and len(one) == len(two) else one is two


def _refill(container: Any, entries: Any) -> None:
    """Give a dict or a list the entries that it had; comparing them could ask the user's objects for their truth."""
    now = list(container.items()) if isinstance(container, dict) else container
    was = list(entries.items()) if isinstance(container, dict) else entries
    if len(now) == len(was) and all(map(_is_same, now, was)):
        return
    container.clear()
    (container.update if isinstance(container, dict) else container.extend)(entries)


@contextmanager
def watching(module: nn.Module, names: set[str], see: Callable[[str, object], object]) -> Iterator[None]:
    """Call `see` with the name and the output of each named module as it returns; `name:2` is its second call.

    Args:
        module: The model. Calls are counted from entering, so enter anew for each forward pass.
        names: Dotted names of the modules to watch.
        see: Called with name and output; what it returns replaces the output, unless it is None.

    Yields:
        Nothing; the hooks are removed at the end.
    """
    calls: Counter[str] = Counter()

    def seen(name: str, _part: nn.Module, _given: object, output: object) -> object:
        calls[name] += 1
        return see(name if calls[name] == 1 else f"{name}:{calls[name]}", output)

    with ExitStack() as stack:
        for name, part in module.named_modules():
            if name in names:
                stack.callback(part.register_forward_hook(partial(seen, name)).remove)
        yield


@contextmanager
def watching_inputs(module: nn.Module, see: Callable[[object], object]) -> Iterator[None]:
    """Call `see` with what each part of a module is given, a tuple, as it begins."""
    with ExitStack() as stack:
        for part in module.modules():
            stack.callback(part.register_forward_pre_hook(lambda _part, given: see(given) and None).remove)
        yield


@contextmanager
def altered(nodes: Mapping[Node, Alter]) -> Iterator[None]:
    """Change the gradients that nodes of an autograd graph pass on.

    Args:
        nodes: For each node, a function of the gradients that it would pass on and of those that it was given. What
            the function returns replaces the former, unless it is None.

    Yields:
        Nothing; the hooks are removed at the end.
    """
    with ExitStack() as stack:
        for node, alter in nodes.items():
            stack.callback(node.register_hook(alter).remove)
        yield


def nodes_before(ends: Iterable[Node | None]) -> Iterator[Node]:
    """Yield the nodes of an autograd graph that lead to some of its nodes, each once, and these themselves."""
    seen, waiting = set(), list(ends)
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [before for before, _ in node.next_functions]
            yield node


def order_norm_gradients(ends: Iterable[Tensor]) -> None:
    """Bring the gradient that each batch or instance normalisation is given into the order of its axes.

    PyTorch 2.14 computes a wrong gradient of a batch normalisation of one image on a CPU, without an error, if the
    gradient that it is given is stored as tokens are: `bn(x).flatten(2).transpose(1, 2)`. These hooks stay, as they
    end with the graph.

    Args:
        ends: The tensors whose graph it is.
    """
    for node in nodes_before(end.grad_fn for end in ends):
        if "BatchNorm" in node.name():
            node.register_prehook(lambda grads: tuple(None if grad is None else grad.contiguous() for grad in grads))


@contextmanager
def tapped(
    plan: Plan,
    receive: Receive,
    receive_before: Receive | None = None,
    *,
    receive_uncut: ReceiveUncut | None = None,
    only_fitting: bool = False,
    to_the_end: bool = True,
) -> Iterator[Forward]:
    """Run a model and hand over the activation of each layer as soon as it exists.

    Args:
        plan: The model and its layers.
        receive: Called with the layer's position in `plan.layers` and its activation, float
            (n, channels, rows, cols), once for each layer and forward pass. It must not change the activation.
        receive_before: Called likewise, and first, with the value that enters the layer's activation function, for
            those layers that have a monotone one.
        receive_uncut: Called instead of both, for those layers whose activation function only cuts values off, with
            what it cuts them off at and the value that enters it.
        only_fitting: Whether a value that does not fit its layer's layout is left out; else it raises an error.
        to_the_end: Whether the model's output is wanted; else the pass ends when the last layer has been handed over.

    Yields:
        The forward pass, which takes float (n, c, h, w) and returns the model's own output, or None if that is not
        wanted.
    """
    images = [0]
    takers: Takers = {}
    read = cache(partial(reader, plan))

    def tap_node(node: str, tap: Tap, hand_over: Callable[[Tensor], None], read: Read = lambda value: value) -> None:
        takers.setdefault(node, []).append(_taker(tap.layout, hand_over, images, only_fitting, read))

    for at, tap in enumerate(plan.taps):
        if receive_uncut is not None and tap.before is not None and tap.cut is not None:
            tap_node(tap.before, tap, partial(receive_uncut, at, tap.cut))
            continue
        tap_node(tap.node, tap, partial(receive, at), read(tap.heads))
        if receive_before is not None and tap.before is not None:
            tap_node(tap.before, tap, partial(receive_before, at))
    with evaluating(plan.module):
        run = _raw(plan, takers, to_the_end) if plan.graph is None else _traced(plan, plan.graph, takers, to_the_end)

        def forward(batch: Tensor) -> object:
            images[0] = batch.shape[0]
            return run(batch.to(memory_format=plan.memory_format))

        yield forward


def _taker(
    layout: Layout,
    receive: Callable[[Tensor], None],
    images: list[int],
    only_fitting: bool,
    read: Read,
) -> Callable[[object], None]:
    """Return a function that takes the value of one tap; `images` holds the number of images in the batch."""

    def take(value: object) -> None:
        if not isinstance(value, Tensor):
            return
        try:
            activation = layout.arranged(read(value), images[0])
        except (RuntimeError, IndexError):
            if only_fitting:
                return
            raise
        receive(activation)

    return take


def _traced(plan: Plan, source: fx.Graph, takers: Takers, to_the_end: bool) -> Forward:
    def see(graph: fx.Graph, node: fx.Node, copy: fx.Node) -> fx.Node:
        for take in takers.get(node.name, ()):
            graph.call_function(take, (copy,))
        return copy

    nodes = list(source.nodes)
    if not to_the_end:
        nodes = nodes[: max(at for at, node in enumerate(nodes) if node.name in takers) + 1]
    return copied(plan, nodes, see).forward


def copied(
    plan: Plan, nodes: Iterable[fx.Node], see: Callable[[fx.Graph, fx.Node, fx.Node], fx.Node]
) -> fx.GraphModule:
    """Copy a graph, so that nodes can be added to it.

    Args:
        plan: The model whose graph it is.
        nodes: The nodes to copy, in their order. Without the output node, the copy returns nothing.
        see: Called with the new graph, each node and its copy; returns the node that later nodes read instead of it.

    Returns:
        A module that runs the copy.
    """
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    parts: dict[str, object] = {}
    for node in nodes:
        copy = graph.node_copy(node, copies.__getitem__)
        if node.op in ("call_module", "get_attr"):
            copy.target = f"part{len(parts)}"
            parts[copy.target] = plan.attribute(str(node.target))
        copies[node] = see(graph, node, copy)
    return fx.GraphModule(parts, graph)


class EndOfPass(BaseException):  # no Exception, because a model might catch it
    """Ends a forward pass when the last wanted layer has run."""


def _raw(plan: Plan, takers: Takers, to_the_end: bool) -> Forward:
    names = {name.partition(":")[0] for name in takers}

    def forward(batch: Tensor) -> object:
        waiting = set(takers)

        def see(name: str, output: object) -> None:
            for take in takers.get(name, ()):
                take(output)
            waiting.discard(name)
            if not waiting and not to_the_end:
                raise EndOfPass

        output = None
        with suppress(EndOfPass), watching(plan.module, names, see):
            output = plan.module(batch)
        return output

    return forward
