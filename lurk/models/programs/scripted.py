"""A TorchScript module as a tree of modules that hooks and the tracer see, each under its own name.

TorchScript itself runs nothing of it: the steps of each method are made of its graph.
"""

import hashlib
import re
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from lurk.errors import ModelError
from lurk.graph.trace_proxies import is_instance
from lurk.models.programs.script_steps import attribute_names, method_body
from lurk.models.programs.steps import HOME, Body, Values, part_kind, set_convolution

MARKS = re.compile(r"^__torch__\.|___torch_mangle_\d+\.")
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
SIZES = {"stride": 3, "dilation": 5}  # and the place of each among what a convolution takes
GROUPS = {"aten::_convolution": 8, "aten::conv1d": 6, "aten::conv2d": 6, "aten::conv3d": 6}


class ScriptedPart(nn.Module):
    """A part of a TorchScript module.

    Args:
        script: The part.
        names: Names of the attributes that the parts read.
    """

    def __init__(self, script: torch.jit.ScriptModule, names: set[str]) -> None:
        nn.Module.__init__(self)
        for name, weight in script.named_parameters(recurse=False):
            self.register_parameter(name, nn.Parameter(weight.detach(), weight.requires_grad))
        for name, buffer in script.named_buffers(recurse=False):
            self.register_buffer(name, buffer.detach())
        for name, child in script.named_children():
            self.add_module(name, _part(cast(torch.jit.ScriptModule, child), names))
        self.training = script.training
        self.attributes: dict[str, object] = {}
        for name in sorted(names - {"training", *self._parameters, *self._buffers, *self._modules}):
            if script._c.hasattr(name):
                self._keep(name, script._c.getattr(name))
        methods: list[Any] = [script._c._get_method(name) for name in script._c._method_names()]
        self.bodies: dict[str, Body] = {method.name: method_body(method) for method in methods}
        self.defaults = {method.name: _defaults(method) for method in methods}
        self.program = hashlib.sha256(b"".join(map(_bytes, methods))).hexdigest()
        if issubclass(type(self), CONVOLUTIONS):
            set_convolution(self, *_convolution(script))

    def _keep(self, name: str, value: object) -> None:
        if isinstance(value, Tensor):
            self.register_buffer(name, value.detach(), persistent=False)
        else:
            self.attributes[name] = value

    def extra_repr(self) -> str:
        """Nothing: the settings of the original part are in its steps."""
        return ""

    def forward(self, *inputs: object, method: str = "forward") -> object:
        """Run the method `forward`, or that of a further call in a trace."""
        return self.call(method, inputs)

    def call(self, method: str, inputs: tuple[object, ...]) -> object:
        """Run a method of the part."""
        body = self.bodies[method]
        defaults, count = self.defaults[method], len(body.takes) - 1
        if not count - len(defaults) <= len(inputs) <= count:
            raise TypeError(f"{method} takes {count} inputs, not {len(inputs)}")
        given = (self, *inputs, *defaults[len(defaults) - count + len(inputs) :])
        values: Values = dict(zip(body.takes, given, strict=True))
        values[HOME] = next((value.device for value in inputs if is_instance(value, Tensor)), None)  # type: ignore[attr-defined]
        (output,) = body.run(values)
        return output

    def read(self, name: str) -> object:
        """The value of an attribute."""
        return self.attributes[name] if name in self.attributes else getattr(self, name)


def rebuild_scripted(script: torch.jit.ScriptModule) -> nn.Module:
    """Make a tree of modules of a TorchScript module.

    Args:
        script: The module; its weights are shared.

    Returns:
        A module that computes the same; its parts have the names and the kinds of the original ones.

    Raises:
        ModelError: It has no parts, is fixed in training mode, or runs what is not run here.
    """
    parts = cast(list[torch.jit.ScriptModule], list(script.modules()))
    if len(parts) == 1:
        raise ModelError(
            "it is TorchScript without parts, as torch.jit.freeze leaves it: save the module as it was before that"
        )
    methods = [part._c._get_method(name) for part in parts for name in part._c._method_names()]
    return _part(script, {name for method in methods for name in attribute_names(method)})


def _part(script: torch.jit.ScriptModule, names: set[str]) -> nn.Module:
    kind = MARKS.sub("", str(script._c._type().qualified_name()))
    made: nn.Module = part_kind(ScriptedPart, kind)(script, names)
    return made


def _defaults(method: Any) -> tuple[object, ...]:
    """The defaults of the last inputs of a method."""
    found: list[object] = []
    for argument in reversed(method.schema.arguments):
        if not argument.has_default_value():
            break
        found.insert(0, argument.default_value)
    return tuple(found)


def _bytes(method: Any) -> bytes:
    """What a method does, for provenance."""
    code, constants = method.code_with_constants
    values = constants.values()
    tensors = [value.detach().cpu().double().numpy().tobytes() for value in values if isinstance(value, Tensor)]
    return b"".join([code.encode(), *tensors])


def _convolution(script: torch.jit.ScriptModule) -> tuple[int, dict[str, Sequence[int]]]:
    """Groups of a convolution, and its stride and dilation if they are known."""
    if all(script._c.hasattr(name) for name in ("groups", *SIZES)):
        return int(script._c.getattr("groups")), {name: script._c.getattr(name) for name in SIZES}
    for kind, place in GROUPS.items():
        for node in script._c._get_method("forward").graph.findAllNodes(kind):
            given = list(node.inputs())
            sizes: dict[str, Sequence[int]] = {name: _constant_list(given[at]) for name, at in SIZES.items()}
            return int(given[place].toIValue()), sizes if all(sizes.values()) else {}
    return 1, {}


def _constant_list(value: Any) -> list[int]:
    """The numbers of a list in a graph; empty if they are computed while it runs."""
    found = value.toIValue() or [one.toIValue() for one in value.node().inputs()]
    return [] if None in found else list(found)
