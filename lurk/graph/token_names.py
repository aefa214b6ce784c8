"""What the tokens of a sequence that have no position are called, by the names of the parameters they come from."""

from collections.abc import Sequence
from dataclasses import replace

from torch import fx

from lurk.graph.layout.activation_layout import Layout
from lurk.graph.trace import Trace
from lurk.records import LayerInfo

MOST_TOKENS = 256
WORDS = {"register": ("reg",), "distillation": ("dist",), "class": ("cls", "class")}


def name_tokens(kinds: Sequence[str | None]) -> list[str]:
    """Name the tokens without a position.

    >>> name_tokens([None, None, None, "distillation"])
    ['class', 'register1', 'register2', 'distillation']

    Args:
        kinds: For each token `class`, `register`, `distillation`, or None if that is not known.

    Returns:
        Their names. Where the kind is not known, the first is the class token and the others are registers.
    """
    names: list[str] = []
    registers = 0
    for kind in kinds:
        known = "class" if kind is None and "class" not in kinds else kind or "register"
        if known == "register" or known in names:
            registers += 1
            known = f"register{registers}"
        names.append(known)
    return names


def describe_layers(info: LayerInfo, layouts: Sequence[Layout], extras: Sequence[str]) -> list[LayerInfo]:
    """Complete a layer by what its layouts say.

    Args:
        info: The layer.
        layouts: Its layouts; those after the first are of tokens without a position.
        extras: The names of those tokens.

    Returns:
        A layer for each layout.
    """
    names = (info.name, *(f"{info.name}:{extra}" for extra in extras))
    return [
        replace(info, name=name, units=layout.units, shape=layout.shape, grid=layout.grid)
        for name, layout in zip(names, layouts, strict=False)
    ]


def kinds_of(trace: Trace, node: fx.Node, count: int) -> list[str | None]:
    """Tell what the tokens without a position are, by the names of the parameters that they come from.

    Args:
        trace: The graph.
        node: The sequence.
        count: Number of its tokens without a position.

    Returns:
        The kind of each, None if its parameter's name does not tell.
    """
    kinds: list[str | None] = [None] * count
    for other in trace.graph.nodes if count else ():
        value = trace.values.get(other)
        if value is not None and "cat" in value.operations:
            found = _joined(trace, other)
            if found is not None and len(found) == count:
                kinds = found
        if other is node:
            break
    return kinds


def _joined(trace: Trace, node: fx.Node) -> list[str | None] | None:
    """Kinds of the constant tokens that are joined to a sequence; None if none are."""
    parts = node.args[0] if node.args and isinstance(node.args[0], (list, tuple)) else node.kwargs.get("tensors")
    found: list[str | None] = []
    for part in parts if isinstance(parts, (list, tuple)) else ():
        value = trace.values.get(part) if isinstance(part, fx.Node) else None
        if isinstance(part, fx.Node) and value is not None and value.field is None and len(value.shape or ()) == 3:
            found += [_kind(part)] * min((value.shape or (0, 0))[1], MOST_TOKENS)
    return found or None


def _kind(node: fx.Node) -> str | None:
    """The kind that the names of the parameters of a constant tell; None if they tell none or two."""
    seen, waiting, names = {node}, [node], []
    while waiting:
        here = waiting.pop()
        if here.op == "get_attr":
            names.append(str(here.target).rpartition(".")[2].lower())
        fresh = [one for one in here.all_input_nodes if one not in seen]
        seen.update(fresh)
        waiting += fresh
    kinds = [kind for kind, words in WORDS.items() if any(word in name for name in names for word in words)]
    return kinds[0] if len(kinds) == 1 else None
