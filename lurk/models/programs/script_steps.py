"""The graph of a TorchScript method as steps."""

import re
from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from lurk.errors import ModelError
from lurk.models.programs.operators import is_training, operator_named
from lurk.models.programs.steps import HOME, Body, Step, Values, make_body

CALL = "lurk::call"
NAMED_TUPLE = re.compile(r"NamedTuple\((.*?)\) = prim::TupleConstruct")
FORWARD = re.compile(r"forward\d*")  # a trace holds a method of its own for each further call of a module
Make = Callable[..., Any]
Graph = Any  # a graph, a block, a node or a method of torch._C, whose types say nothing


def _raise(message: object, *_: object) -> None:
    raise RuntimeError(str(message))


PRIMITIVES: dict[str, Make] = {
    "ListConstruct": lambda *items: list(items),
    "DictConstruct": lambda *items: dict(zip(items[::2], items[1::2], strict=True)),
    "ListUnpack": tuple,
    "TupleUnpack": tuple,
    "TupleConstruct": lambda *items: items,
    "TupleIndex": lambda items, at: items[at],
    "NumToTensor": lambda value: value,
    "unchecked_cast": lambda value: value,
    "Uninitialized": lambda: None,
    "Print": lambda *_: None,
    "data": lambda value: value.detach(),
    "dtype": lambda value: torch.ops.prim.dtype(torch.empty(0, dtype=value.dtype)),
    "layout": lambda value: torch.ops.prim.layout(torch.empty(0)),
    **{name: lambda value, name=name: getattr(value, name) for name in ("device", "shape", "type", "is_nested")},
    **{name: lambda value, name=name: getattr(value, name) for name in ("is_cuda",)},
    "requires_grad": lambda _: True,
    "min": min,
    "max": max,
    "abs": abs,
    "RaiseException": _raise,
}


def method_body(method: Graph) -> Body:
    """The steps of a method.

    Args:
        method: A `torch.ScriptMethod`.

    Returns:
        Its body; the first input is the part itself.

    Raises:
        ModelError: It is fixed in training mode, or runs an operator that is not run here.
    """
    graph = method.graph.copy()
    for node in graph.findAllNodes("prim::CallMethod"):  # under another name, so that only functions are inlined
        call = graph.create(CALL, list(node.inputs()), node.outputsSize())
        call.s_("name", node.s("name")).insertBefore(node)
        call.output().setType(node.output().type())
        node.replaceAllUsesWith(call)
        node.destroy()
    torch._C._jit_pass_inline(graph)
    return _body(graph)


def attribute_names(method: Graph) -> set[str]:
    """Names of the attributes that a method reads."""
    return {node.s("name") for node in method.graph.findAllNodes("prim::GetAttr")}


def _body(block: Graph) -> Body:
    return make_body(_names(block.inputs()), [_step(node) for node in block.nodes()], _names(block.outputs()))


def _names(values: Iterable[Graph]) -> tuple[str, ...]:
    return tuple(value.debugName() for value in values)


def _step(node: Graph) -> Step:
    """The step that a node is; one that cannot be run raises an error when it is reached."""
    reads, gives, kind = _names(node.inputs()), _names(node.outputs()), node.kind()
    if kind in ("prim::If", "prim::Loop"):
        bodies = [_body(block) for block in node.blocks()]
        run = _branch(bodies, reads, gives) if kind == "prim::If" else _loop(bodies[0], reads, gives)
        return Step(run, (*reads, *sorted({name for body in bodies for name in _outer(body)})), gives)
    if kind == "prim::Constant":
        return Step(_constant(node, gives[0]), (), gives)
    function = _function(node, kind)

    def run_function(values: Values) -> None:
        found = function(*[values[name] for name in reads])
        if gives:
            is_one = len(gives) == 1 and not kind.endswith("Unpack")
            values.update(zip(gives, (found,) if is_one else found, strict=True))

    return Step(run_function, reads, gives)


def _outer(body: Body) -> set[str]:
    """What a body reads of the values around it."""
    own = {*body.takes, *(name for step, _ in body.steps for name in step.gives)}
    return {name for step, _ in body.steps for name in step.reads if name not in own} | (set(body.gives) - own)


def _branch(bodies: list[Body], reads: tuple[str, ...], gives: tuple[str, ...]) -> Callable[[Values], None]:
    def run(values: Values) -> None:
        found = bodies[0 if values[reads[0]] else 1].run(values)
        values.update(zip(gives, found, strict=True))

    return run


def _loop(body: Body, reads: tuple[str, ...], gives: tuple[str, ...]) -> Callable[[Values], None]:
    def run(values: Values) -> None:
        most, goes_on, *carried = (values[name] for name in reads)
        turn = 0
        while goes_on and turn < most:  # type: ignore[operator]  # a number
            values.update(zip(body.takes, (turn, *carried), strict=True))
            goes_on, *carried = body.run(values)
            turn += 1
        values.update(zip(gives, carried, strict=True))

    return run


def _constant(node: Graph, name: str) -> Callable[[Values], None]:
    """A constant; a device, and that of a tensor, is the one on which the inputs are."""
    value = None if node.mustBeNone() else node.output().toIValue()

    def run(values: Values) -> None:
        home: Any = values[HOME]
        if isinstance(value, torch.device):
            values[name] = home
        else:
            values[name] = value.to(home) if isinstance(value, Tensor) else value

    return run


def _function(node: Graph, kind: str) -> Make:
    """The function of its inputs that a node is."""
    space, _, plain = kind.partition("::")
    name = node.s("name") if node.hasAttribute("name") else ""
    if kind == CALL:
        is_forward = FORWARD.fullmatch(name) is not None
        return lambda part, *inputs: part(*inputs, method=name) if is_forward else part.call(name, inputs)
    if kind == "prim::GetAttr":
        return lambda part: part.read(name)
    if kind == "prim::SetAttr":
        return lambda part, value: setattr(part, name, value)
    if fields := NAMED_TUPLE.search(str(node)):
        names = re.findall(r"(\w+) : ", fields[1])
        return namedtuple("Output", names)
    if space == "prim":
        return PRIMITIVES.get(plain, lambda *_: _raise(f"it runs {kind}, which is not run here"))
    return _operator(node, kind)


def _operator(node: Graph, kind: str) -> Make:
    """The function of an operator, whose last arguments may be given by name only."""
    schema = torch._C.parse_schema(node.schema())
    run = operator_named(kind, schema.overload_name)
    names = [argument.name for argument in schema.arguments]
    constants: Mapping[str, object] = {
        name: value.toIValue()
        for name, value in zip(names, node.inputs(), strict=False)
        if value.node().kind() == "prim::Constant" and value.type().kind() != "FunctionType"
    }
    if is_training(names, constants):
        raise ModelError(
            f"{kind.removeprefix('aten::').strip('_')} is fixed in training mode in it: call eval() on the network "
            "before it is traced or scripted"
        )
    first = next((at for at, argument in enumerate(schema.arguments) if argument.kwarg_only), None)
    if first is None:
        return run
    return lambda *args: run(*args[:first], **dict(zip(names[first:], args[first:], strict=True)))
