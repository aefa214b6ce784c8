"""The graph of an exported program: made plain, and its operators as steps."""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import fx

from lurk.errors import ModelError
from lurk.models.programs.operators import is_training, operator_named
from lurk.models.programs.steps import HOME, Step, Values

PLAIN = ("_operator", "builtins", "math")
NUMBERS = (int, float, torch.SymInt, torch.SymFloat, torch.SymBool)
NO_GRAD = "wrap_with_set_grad_enabled"
Call = tuple[str, str, str]  # which call of a module it is, the module's path, the full name of its class


def calls(node: fx.Node) -> list[Call]:
    """The calls in which an operator was made, the outermost first."""
    stack = node.meta.get("nn_module_stack") or {}
    found = [(str(key), str(path), _full_name(kind)) for key, (path, kind) in stack.items()]
    return found if found and not found[0][1] else []


def _full_name(kind: object) -> str:
    return f"{kind.__module__}.{kind.__qualname__}" if isinstance(kind, type) else str(kind)


def plain_graph(flat: fx.GraphModule) -> fx.Graph:
    """The graph without checks, without dead ends, and with what ran without gradients put in its place."""
    graph = fx.Graph()
    graph.output(_copy_into(graph, flat, {}))
    for node in reversed(graph.nodes):
        if isinstance(node.meta.get("val"), NUMBERS):
            _compute_where_used(graph, node)
        is_kept = isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable
        if node.op == "call_function" and not node.users and not is_kept:
            graph.erase_node(node)
    return graph


def _compute_where_used(graph: fx.Graph, node: fx.Node) -> None:
    """Let each call that reads a number, such as a size, compute it: a part does not give it to others."""
    for user in list(node.users):
        if user.op != "output" and calls(user) != calls(node):
            with graph.inserting_before(user):
                copy = graph.node_copy(node)
            copy.meta["nn_module_stack"] = user.meta.get("nn_module_stack")
            user.replace_input_with(node, copy)


def _copy_into(graph: fx.Graph, flat: fx.GraphModule, known: dict[fx.Node, fx.Node]) -> Any:
    """Copy the nodes of a module into a graph, and return its outputs."""
    inlined: dict[object, Any] = {}
    for node in flat.graph.nodes:
        if node.op == "output":
            return fx.node.map_arg(node.args[0], known.__getitem__)
        if getattr(node.target, "__name__", "") == NO_GRAD:
            inner = cast(fx.GraphModule, flat.get_submodule(str(node.args[1].target)))
            takes = [one for one in inner.graph.nodes if one.op == "placeholder"]
            given = {one: known[value] for one, value in zip(takes, node.args[2:], strict=True)}
            inlined[node] = _copy_into(graph, inner, given)
        elif node.args and isinstance(node.args[0], fx.Node) and node.args[0] in inlined:
            known[node] = inlined[node.args[0]][node.args[1]]
        elif node not in known and node.op != "call_module":
            known[node] = graph.node_copy(node, known.__getitem__)
    raise ModelError("the program has no output")


def operator_step(node: fx.Node) -> Step:
    """The step that an operator is."""
    name, given, run_operator = node.name, (node.args, node.kwargs), _function(node)

    def run(values: Values) -> None:
        def real_value(item: object) -> object:
            if isinstance(item, fx.Node):
                return values[item.name]
            return values[HOME] if isinstance(item, torch.device) else item

        args, kwargs = fx.node.map_aggregate(given, real_value)  # type: ignore[arg-type]
        values[name] = run_operator(*args, **kwargs)

    return Step(run, tuple(used.name for used in node.all_input_nodes), (name,))


def _function(node: fx.Node) -> Callable[..., Any]:
    target = node.target
    if isinstance(target, torch._ops.OpOverload):
        names = [argument.name for argument in target._schema.arguments]
        constants = {
            name: value
            for name, value in (*zip(names, node.args, strict=False), *node.kwargs.items())
            if not isinstance(value, fx.Node)
        }
        if is_training(names, constants):
            raise ModelError(
                f"{target._opname.strip('_')} is fixed in training mode in it: call eval() on the network before it is "
                "exported"
            )
        overload = "" if target._overloadname == "default" else target._overloadname
        return operator_named(f"{target.namespace}::{target._opname}", overload)
    if getattr(target, "__module__", "") in PLAIN or str(getattr(target, "__name__", "")).startswith("sym_"):
        return cast(Callable[..., Any], target)
    raise ModelError(f"it runs {target}, which is not run here; give the Python code of the network")
