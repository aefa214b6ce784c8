"""Finds, in all that a file holds, the tensors that are the weights of a network: any nesting, any prefix."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from lurk.errors import WeightsError
from lurk.models.weights.safe_unpickle import Record
from lurk.models.weights.saved_tensor import SavedTensor, Shape

WRAPPERS = ("module", "_orig_mod", "_forward_module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
DERIVED = re.compile(
    r"(^|\.)(num_batches_tracked|total_ops|total_params|n_averaged|position_ids|relative_position_index"
    r"|relative_coords_table|attn_mask)$"
)
WEIGHT_NORM = re.compile(r"parametrizations\.(\w+)\.original([01])$")
MODULE_PARTS = ("_parameters", "_buffers", "_modules")
MOST_NODES, MOST_LEVELS = 500_000, 200
HOLDERS = (Mapping, list, tuple, set, frozenset, Record, SavedTensor)
Rename = Callable[[str], str | None]


@dataclass
class Candidate:
    """A place in a file at which tensors of the network stand.

    Args:
        place: What stands before the network's names in the file, such as `state_dict.backbone`; empty for nothing.
        own: What stands before all names of the network and is missing in the file; empty for nothing.
        names: The name in the file of each of the network's names.
    """

    place: str
    own: str
    names: dict[str, str] = field(default_factory=dict)


def canonical(name: str) -> str:
    """A name without what parallel and compiled wrappers add to it, and with the older words of weight norm."""
    parts = [part for part in name.split(".") if part not in WRAPPERS]
    return WEIGHT_NORM.sub(lambda match: f"{match[1]}_{'gv'[int(match[2])]}", ".".join(parts))


def flatten(tree: object, naming: Rename) -> dict[str, SavedTensor]:
    """All tensors of a file by name.

    Args:
        tree: What the file holds.
        naming: Gives the name by which a tensor is looked for, None for one that is not needed.

    Returns:
        The tensors; a name says the whole way to a tensor, as in `state_dict.model.conv.weight`. Of two tensors that
        would have one name, the second keeps its full name.

    Raises:
        WeightsError: The file holds too much, or too many levels.
    """
    tensors: list[tuple[str, str, SavedTensor]] = []
    pending: list[tuple[tuple[str, ...], object, tuple[int, ...]]] = [((), tree, ())]
    nodes = 0
    while pending:
        path, node, above = pending.pop()
        nodes += 1
        if nodes > MOST_NODES or len(above) > MOST_LEVELS:
            raise WeightsError("--weights: the file holds more than weights: too many objects or levels")
        if isinstance(node, SavedTensor):
            full = ".".join(path)
            tensors.append((naming(full) or "", full, node))
        elif id(node) not in above:
            children = [(key, child) for key, child in _children(node) if isinstance(child, HOLDERS)]
            pending.extend(((*path, *key), child, (*above, id(node))) for key, child in reversed(children))
    found = {full: tensor for name, full, tensor in tensors if name == full}
    for name, full, tensor in tensors:
        if name and name != full:
            found[full if name in found else name] = tensor
    return found


def _children(node: object) -> Iterator[tuple[tuple[str, ...], object]]:
    """The parts of a value, each with what it adds to a name."""
    if isinstance(node, Mapping):
        yield from ((_words(key), child) for key, child in node.items())
    elif isinstance(node, (list, tuple)) and node and all(map(_is_pair, node)):
        yield from (((name,), child) for name, child in node)
    elif isinstance(node, (list, tuple, set, frozenset)):
        yield from (((str(n),), child) for n, child in enumerate(node))
    elif isinstance(node, Record) and _is_module(node):
        yield from _module_parts(node.state)
    elif isinstance(node, Record):
        yield from (((), part) for part in (node.state, node.items, node.listed, node.arguments))


def _is_pair(item: object) -> bool:
    """Whether an item of a list is a name with a value, as of `list(network.named_parameters())`."""
    return isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str)


def _words(key: object) -> tuple[str, ...]:
    return (key,) if isinstance(key, str) else (str(getattr(key, "name", key)),)


def _is_module(node: object) -> bool:
    return (
        isinstance(node, Record) and isinstance(node.state, dict) and all(part in node.state for part in MODULE_PARTS)
    )


def _module_parts(state: object) -> Iterator[tuple[tuple[str, ...], object]]:
    """Parameters, buffers and parts of a network that was saved whole; its buffers that are no weights stay out."""
    if isinstance(state, dict):
        unsaved = state.get("_non_persistent_buffers_set")
        unsaved = unsaved if isinstance(unsaved, (set, list, tuple)) else ()
        for part in MODULE_PARTS:
            entries = state[part].items() if isinstance(state[part], Mapping) else ()
            yield from (((str(name),), child) for name, child in entries if part != "_buffers" or name not in unsaved)


def search(found: Mapping[str, SavedTensor], wanted: Mapping[str, Shape]) -> list[Candidate]:
    """All places in a file at which at least one name of the network stands.

    Args:
        found: The tensors of the file, see `flatten`.
        wanted: Canonical names and shapes of the network's weights.

    Returns:
        The places, in the file's order, each once.
    """
    candidates: dict[tuple[str, str], Candidate] = {}
    for own in _common_prefixes(wanted):
        ends = {name.removeprefix(own): name for name in wanted}
        for name in found:
            words = name.split(".")
            for start in range(len(words)):
                full = ends.get(".".join(words[start:]))
                if full is not None:
                    place = ".".join(words[:start])
                    candidates.setdefault((own, place), Candidate(place, own)).names[full] = name
    return list(candidates.values())


def _common_prefixes(names: Iterable[str]) -> list[str]:
    """What all names of a network begin with: nothing, then `model.`, then `model.net.` and so on."""
    prefixes, every = [""], [name.split(".") for name in names]
    level = 0
    while every and all(len(words) > level + 1 for words in every) and len({words[level] for words in every}) == 1:
        prefixes.append(".".join(every[0][: level + 1]) + ".")
        level += 1
    return prefixes
