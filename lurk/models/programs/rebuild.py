"""Puts a tree of modules in the place of each program that a user gives as an object, alone or inside a network."""

from collections.abc import Mapping

import torch
from torch import nn

from lurk.errors import ModelError
from lurk.models.copying import copied
from lurk.models.programs.exported import is_exported, rebuild_exported
from lurk.models.programs.scripted import rebuild_scripted


def rebuilt(value: object) -> object:
    """Replace the programs in what a user gave by modules that hooks see.

    Args:
        value: A program, a network, a tuple that begins with one of these, or anything else.

    Returns:
        The same with modules; what holds no program is returned as it is.

    Raises:
        ModelError: A program cannot be watched; the message says why.
    """
    if isinstance(value, tuple) and value:
        return (rebuilt(value[0]), *value[1:])
    if isinstance(value, torch.jit.ScriptFunction):
        raise ModelError("a TorchScript function has no parts: trace or script the network itself")
    if is_exported(value) or isinstance(value, torch.jit.ScriptModule):
        return _module(value)
    inner = _inner(value) if isinstance(value, nn.Module) else {}
    return copied(value, inner) if isinstance(value, nn.Module) and inner else value


def _module(program: object) -> nn.Module:
    try:
        is_script = isinstance(program, torch.jit.ScriptModule)
        return rebuild_scripted(program) if is_script else rebuild_exported(program)  # type: ignore[arg-type]
    except ModelError as error:
        raise ModelError(f"{_kind(program)} cannot be watched: {error}") from error


def _kind(program: object) -> str:
    return getattr(program, "original_name", "") or type(program).__name__


def _inner(module: nn.Module) -> Mapping[int, object]:
    """What stands for the programs inside a network, by the identity of each; not for what is inside those."""
    found: dict[int, object] = {}
    waiting = list(module.children())
    while waiting:
        part = waiting.pop()
        if is_exported(part) or isinstance(part, torch.jit.ScriptModule):
            found[id(part)] = found.get(id(part)) or _module(part)
        else:
            waiting += part.children()
    return found
