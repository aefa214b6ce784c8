"""The outputs of a model by name: keys of dicts, fields of tuples and dataclasses, numbers of lists, joined by dots.

A detection network gives a list with a dict for each image. Its outputs are named by the keys of those dicts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

DEEPEST = 6


@dataclass(frozen=True)
class NamedOutput:
    """One output of a model.

    Args:
        name: Its name; `output` if the model gives one tensor.
        tensors: The tensor; where each image has a table of its own, such as its boxes, the tensor of each image.
        is_list: Whether each image has a tensor of its own.
    """

    name: str
    tensors: tuple[Tensor, ...]
    is_list: bool = False

    @property
    def shape(self) -> str:
        """Its shape in words, such as `(n, 1000)`."""
        sizes = ["boxes" if self.is_list else "n", *(str(size) for size in self.tensors[0].shape[1:])]
        rank = self.tensors[0].dim()
        return f"({', '.join(sizes[: rank or 1])}{',' if rank <= 1 else ''})" + (" an image" if self.is_list else "")


def name_outputs(output: object) -> list[NamedOutput]:
    """Name all tensors in what a model returns.

    Args:
        output: A tensor, or tensors in nested tuples, lists, mappings, dataclasses and other objects.

    Returns:
        The outputs, in order; one that is found under two names has the first of them.
    """
    found: dict[int, NamedOutput] = {}
    for name, tensor in _flat(output):
        found.setdefault(id(tensor), NamedOutput(name or "output", (tensor,)))
    return list(found.values())


def name_tables(output: object) -> list[NamedOutput]:
    """Name the tensors in a list with a dict for each image; empty if an output is no such list."""
    if not isinstance(output, (list, tuple)) or not all(isinstance(item, Mapping) for item in output):
        return []
    parts = [dict(_flat(item)) for item in output]
    if not parts or any(part.keys() != parts[0].keys() for part in parts):
        return []
    return [NamedOutput(name, tuple(part[name] for part in parts), True) for name in parts[0]]


def list_outputs(outputs: Iterable[NamedOutput]) -> str:
    """Write the names of outputs with their shapes, such as `features (n, 512), logits (n, 10)`."""
    return ", ".join(f"{output.name} {output.shape}" for output in outputs) or "none"


def _flat(value: object, name: str = "", depth: int = 0) -> list[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        return [(name, value)]
    prefix = f"{name}." if name else ""
    items = _items(value) if depth < DEEPEST else []
    return [pair for key, item in items for pair in _flat(item, f"{prefix}{key}", depth + 1)]


def _items(value: object) -> list[tuple[object, object]]:
    """Names and values inside a container or an object; none inside anything else."""
    if isinstance(value, Mapping):
        return list(value.items())
    if isinstance(value, (tuple, list)):
        return list(zip(getattr(value, "_fields", range(len(value))), value, strict=True))
    if isinstance(value, nn.Module):
        return []
    return [pair for pair in getattr(value, "__dict__", {}).items() if not pair[0].startswith("_")]
