"""A program of `torch.export` as a tree of modules that hooks and the tracer see, each under its own name.

The program is one list of operators. Each knows in which call of which module it was made; those of a call become the
body of a module that stands for it.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import Any, cast

import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram
from torch.utils import _pytree as pytree

from lurk.errors import ModelError
from lurk.graph.plan import attribute
from lurk.graph.trace_proxies import is_instance, real
from lurk.models.programs.exported_graph import Call, calls, operator_step, plain_graph
from lurk.models.programs.steps import HOME, OWN, Body, Step, Values, make_body, part_kind, set_convolution


class ExportedPart(nn.Module):
    """A part of an exported program; a part that is called several times has a body for each call."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.bodies: list[Body] = []
        self.called: dict[str, nn.Module] = {}
        self.program = ""

    def extra_repr(self) -> str:
        """Nothing: the settings of the original part are in its steps."""
        return ""

    def forward(self, *inputs: object, call: int = 0) -> object:
        """Run the body of a call."""
        found = self.run(call, inputs)
        return found[0] if len(found) == 1 else tuple(found)

    def run(self, call: int, inputs: Sequence[object]) -> list[object]:
        """Run the body of a call, and return its outputs."""
        body = self.bodies[call]
        if len(inputs) != len(body.takes):
            raise TypeError(f"it takes {len(body.takes)} inputs, not {len(inputs)}")
        values: Values = {**dict(zip(body.takes, inputs, strict=True)), OWN: self}
        values[HOME] = next((value.device for value in inputs if is_instance(value, Tensor)), None)  # type: ignore[attr-defined]
        return body.run(values)


class ExportedNetwork(ExportedPart):
    """An exported program."""

    def __init__(self) -> None:
        ExportedPart.__init__(self)
        self.sizes: tuple[int | None, ...] = ()
        self.form: pytree.TreeSpec | None = None
        self.input_shape: tuple[int, ...] | None = None

    def forward(self, *inputs: object, call: int = 0) -> object:
        """Run the program on what it was exported for."""
        shape = tuple(getattr(real(inputs[0]), "shape", ())) if inputs else ()
        fixed = [size is None or size == given for size, given in zip(self.sizes[1:], shape[1:], strict=False)]
        if len(shape) != len(self.sizes) or not all(fixed):
            wanted = "×".join("any" if size is None else str(size) for size in self.sizes[1:])
            raise ModelError(f"the program was exported for images of {wanted}, not {'×'.join(map(str, shape[1:]))}")
        found = self.run(call, inputs)
        return found[0] if self.form is None else pytree.tree_unflatten(found, self.form)


def is_exported(value: object) -> bool:
    """Whether a value is an exported program, or the module that such a program gives."""
    if isinstance(value, ExportedProgram):
        return True
    return isinstance(value, fx.GraphModule) and any(
        isinstance(node.target, torch._ops.OpOverload) for node in value.graph.nodes
    )


def rebuild_exported(program: ExportedProgram | fx.GraphModule) -> nn.Module:
    """Make a tree of modules of an exported program.

    Args:
        program: The program, or the module that it gives; the weights are shared.

    Returns:
        A module that computes the same; its parts have the names and the kinds of the original ones.

    Raises:
        ModelError: It is fixed in training mode, says nothing of its parts, or runs what is not run here.
    """
    flat = program.module(check_guards=False) if isinstance(program, ExportedProgram) else program
    return _Rebuilding(flat).network()


class _Rebuilding:
    """Makes the parts of one program."""

    def __init__(self, flat: fx.GraphModule) -> None:
        self._flat = flat
        self._graph = plain_graph(flat)
        self._inputs = [node for node in self._graph.nodes if node.op == "placeholder"]
        self._output = next(node for node in self._graph.nodes if node.op == "output")
        self._weights = {node.name: str(node.target) for node in self._graph.nodes if node.op == "get_attr"}
        self._nodes = [node for node in self._graph.nodes if node.op == "call_function"]
        self._kinds = {path: kind for node in self._nodes for _, path, kind in calls(node)}
        self._parts: dict[str, nn.Module] = {}

    def network(self) -> nn.Module:
        """Make the parts and what is in them."""
        root = self._part("", ExportedNetwork)
        for target in self._weights.values():
            path, _, name = target.rpartition(".")
            value = attribute(self._flat, target)
            if not hasattr(self._part(path), name) and isinstance(value, Tensor):  # a constant of the code
                self._part(path).register_buffer(name, value.detach(), persistent=False)
        self._add_body("", self._steps(self._nodes, 1, ""), [node.name for node in self._output.args[0]])
        if not isinstance(root, ExportedNetwork) or not root.called:
            raise ModelError("the program does not say of which modules it was made; export the network itself")
        val = self._inputs[0].meta.get("val") if self._inputs else None
        if not isinstance(val, Tensor):
            raise ModelError("the program takes no images: its first input is no tensor")
        root.sizes = tuple(size if isinstance(size, int) else None for size in val.shape)
        root.input_shape = tuple(map(_example, val.shape))[1:]
        codegen = self._flat.graph._codegen
        root.form = codegen.pytree_info.out_spec if isinstance(codegen, fx.graph._PyTreeCodeGen) else None
        root.program = hashlib.sha256(str(self._graph).encode()).hexdigest()
        return root

    def _part(self, path: str, base: type[ExportedPart] = ExportedPart) -> nn.Module:
        """The part of a path, with its weights; parts that are never called are plain modules."""
        if path not in self._parts:
            kind = self._kinds.get(path)
            part = nn.Module() if kind is None and path else part_kind(base, kind or "Network")()
            self._parts[path] = part
            source = self._flat.get_submodule(path) if _has_part(self._flat, path) else nn.Module()
            for name, weight in source.named_parameters(recurse=False):
                part.register_parameter(name, nn.Parameter(weight.detach(), weight.requires_grad))
            for name, buffer in source.named_buffers(recurse=False):
                part.register_buffer(name, buffer.detach())
            if isinstance(part, (nn.Conv1d, nn.Conv2d, nn.Conv3d)):
                set_convolution(part, *self._convolution(path))
            if path:
                parent, _, name = path.rpartition(".")
                self._part(parent).add_module(name, part)
        return self._parts[path]

    def _steps(self, nodes: Sequence[fx.Node], depth: int, path: str) -> list[Step]:
        """The steps of a part: its own operators, and a step for each call of a part in it."""
        runs = [(call, list(group)) for call, group in groupby(nodes, lambda node: _call(node, depth))]
        times = Counter(call for call, _ in runs)
        found: list[Step] = []
        for call, group in runs:
            if call is None or times[call] > 1:  # a call of which the operators are scattered is no call
                found += [operator_step(node) for node in group]
            else:
                found.append(self._call_step(call, group, depth, path))
        return found

    def _call_step(self, call: Call, nodes: Sequence[fx.Node], depth: int, path: str) -> Step:
        child, inside = call[1], set(nodes)
        gives = tuple(node.name for node in nodes if any(user not in inside for user in node.users))
        takes, number = self._add_body(child, self._steps(nodes, depth + 1, child), gives)
        part = self._part(child)
        caller = cast(ExportedPart, self._part(path))
        caller.called[child] = part

        def run(values: Values) -> None:
            parts = cast(ExportedPart, values[OWN]).called
            output = parts[child](*[values[name] for name in takes], call=number)
            values.update(zip(gives, output if len(gives) != 1 else (output,), strict=True))

        return Step(run, takes, gives)

    def _add_body(self, path: str, steps: list[Step], gives: Sequence[str]) -> tuple[tuple[str, ...], int]:
        """Give a part a body; its own weights are read inside, and everything else is an input."""
        made = {name for step in steps for name in step.gives}
        free = list(
            dict.fromkeys(name for name in (*(n for step in steps for n in step.reads), *gives) if name not in made)
        )
        own = {name: self._own_name(name, path) for name in free}
        takes = tuple(name for name in free if own[name] is None)
        if not path:
            takes = tuple(node.name for node in self._inputs)
        reading = [_weight_step(name, target) for name, target in own.items() if target is not None]
        part = cast(ExportedPart, self._part(path, ExportedNetwork if not path else ExportedPart))
        part.bodies.append(make_body(takes, [*reading, *steps], gives))
        return takes, len(part.bodies) - 1

    def _own_name(self, name: str, path: str) -> str | None:
        """The name that a weight has in a part; None if it is not a weight of that part."""
        target = self._weights.get(name)
        prefix = f"{path}." if path else ""
        return target.removeprefix(prefix) if target is not None and target.startswith(prefix) else None

    def _convolution(self, path: str) -> tuple[int, dict[str, Sequence[int]]]:
        """Groups of the convolution that reads the weight of a part, and its stride and dilation if it is found."""
        name = next((name for name, target in self._weights.items() if target == f"{path}.weight"), "")
        for node in self._nodes:
            if len(node.args) > 1 and str(node.args[1]) == name:
                given: list[Any] = [*node.args, *[(1,)] * 6]  # what is left out at the end is 1, or not asked for
                groups = int(given[len(node.args) - 1] if len(node.args) in (7, 9) else 1)
                return groups, {"stride": given[3], "dilation": given[5]}
        return 1, {}


def _has_part(flat: nn.Module, path: str) -> bool:
    return path in dict(flat.named_modules())


def _call(node: fx.Node, depth: int) -> Call | None:
    found = calls(node)
    return found[depth] if len(found) > depth else None


def _example(size: object) -> int:
    """The size of the example that the network was exported with."""
    hint = size if isinstance(size, int) else getattr(getattr(size, "node", None), "hint", None)
    return int(hint) if isinstance(hint, int) else 0


def _weight_step(name: str, target: str) -> Step:
    def run(values: Values) -> None:
        values[name] = attribute(cast(nn.Module, values[OWN]), target)

    return Step(run, (), (name,))
