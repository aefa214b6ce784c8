"""A hash of what a network is besides its weights: two networks that compute differently have different hashes."""

import hashlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import CodeType

from torch import nn


def architecture_hash(module: nn.Module) -> str:
    """Hash of a network's parts, their plain attributes, and the code of its own classes: 8 hexadecimal digits."""
    total = hashlib.sha256(re.sub(r"0x[0-9a-fA-F]+", "", repr(module)).encode())
    for kind in sorted({type(part) for part in module.modules()}, key=lambda kind: kind.__qualname__):
        if not kind.__module__.startswith("torch."):
            total.update(_code(kind))
    for name, part in module.named_modules():
        total.update(repr([name, *sorted(_plain_attributes(part))]).encode())
    return total.hexdigest()[:8]


def _code(kind: type) -> bytes:
    """The file that defines a class, with all else in that file; for a class without a file, its methods' bytecode."""
    try:
        return Path(inspect.getfile(kind)).read_bytes()
    except (OSError, TypeError):
        codes = [getattr(member, "__code__", None) for member in vars(kind).values()]
        return b"".join(_compiled(code) for code in codes if isinstance(code, CodeType))


def _compiled(code: CodeType) -> bytes:
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    plain = [constant for constant in code.co_consts if not isinstance(constant, CodeType)]
    return code.co_code + repr((code.co_names, plain)).encode() + b"".join(_compiled(part) for part in inner)


def _plain_attributes(part: nn.Module) -> Iterator[tuple[str, str]]:
    """Name and text of each attribute that is a plain value or a function."""
    for name, value in vars(part).items():
        if name.startswith("_") or name == "training":
            continue
        if isinstance(value, (bool, int, float, str, tuple)):
            yield name, repr(value)
        elif isinstance(getattr(value, "__code__", None), CodeType):
            yield name, hashlib.sha256(_compiled(value.__code__)).hexdigest()
        elif callable(value):
            yield name, getattr(value, "__qualname__", type(value).__qualname__)
