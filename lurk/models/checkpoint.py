"""The only place that reads a weights file. It never runs code from the file, and every weight in it must fit."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import torch
from torch import Tensor, nn

from lurk.errors import WeightsError
from lurk.models.safe_unpickle import read_pickled

SUFFIXES = (".pth", ".pt", ".safetensors", ".ckpt", ".bin", ".th", ".tar")
PREFIXES = ("module.", "_orig_mod.")
WRAPPERS = ("state_dict", "model", "model_state_dict")
UNUSED = "num_batches_tracked"
MOST_NAMES = 3
Rename = Callable[[str], str | None]


@dataclass(frozen=True)
class Filled:
    """The file that filled a module.

    Args:
        name: Name of the file.
        sha256: SHA-256 of the file.
        notes: What was taken from it; empty if its names fit as they are.
    """

    name: str
    sha256: str
    notes: tuple[str, ...] = ()


def is_file_name(weights: str) -> bool:
    """Whether `--weights` means a file rather than a name."""
    return weights.lower().endswith(SUFFIXES) or Path(weights).exists()


def fill(module: nn.Module, path: str | PathLike[str], rename: Rename | None = None) -> Filled:
    """Fill a module with the weights of a file; either all of them fit, or the module stays unchanged.

    A WeightsError says why the file cannot be read or does not fit, or which weights hold NaN or infinity.

    Args:
        module: The network.
        path: A .safetensors file, or one that `torch.save` wrote.
        rename: Gives the module's name for a name in the file, and None for a weight that the module does not need.

    Returns:
        What identifies the file, and what was removed from its names.
    """
    file = Path(path)
    sha256 = _hash(file)
    found, removed = _unwrap(_read(file), file.name)
    weights, prefixes = _match_names(found, set(module.state_dict()), rename)
    _check(module, weights, file.name)
    with torch.no_grad():
        module.load_state_dict(weights, strict=False)
    removed += [f"prefix {prefix!r}" for prefix in prefixes]
    note = f"{file.name}: {' and '.join(removed)} taken off its names"
    return Filled(file.name, sha256, (note,) if removed else ())


def _hash(file: Path) -> str:
    if not file.exists():
        raise WeightsError(f"--weights: there is no file {str(file)!r}")
    if not file.is_file():
        raise WeightsError(f"--weights: {str(file)!r} is no file")
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"--weights: {str(file)!r} cannot be read: {error.strerror}") from error


def _read(file: Path) -> object:
    if not file.stat().st_size:
        raise WeightsError(f"--weights: {file.name} is empty")
    if file.suffix.lower() != ".safetensors":
        return read_pickled(file)
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(file)
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError) as error:
        raise WeightsError(f"--weights: {file.name} is damaged or no safetensors file") from error


def _unwrap(found: object, name: str) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors of a checkpoint by name, and the wrappers that were around them."""
    removed: list[str] = []
    while True:
        if isinstance(found, nn.Module) or not isinstance(found, Mapping):
            raise WeightsError(f"--weights: {name} holds {type(found).__name__}, not the weights of a network by name")
        tensors = {key: value for key, value in found.items() if isinstance(key, str) and isinstance(value, Tensor)}
        wrapper = next((key for key in WRAPPERS if isinstance(found.get(key), Mapping)), None)
        if wrapper is None or len(tensors) == len(found):
            break
        removed.append(f"wrapper {wrapper!r}")
        found = found[wrapper]
    other = next((key for key, value in found.items() if not isinstance(value, Tensor)), None)
    if not found or other is not None:
        reason = f"holds {other!r}, which is no tensor" if found else "holds no weights"
        raise WeightsError(f"--weights: {name} {reason}; save the network's state_dict()")
    return tensors, removed


def _match_names(
    found: dict[str, Tensor], wanted: set[str], rename: Rename | None
) -> tuple[dict[str, Tensor], list[str]]:
    """Remove known prefixes that all names of the file share, until one is a name of the network; then rename."""
    removed: list[str] = []
    while not wanted & set(found):
        prefix = next((p for p in PREFIXES if all(name.startswith(p) for name in found)), None)
        if prefix is None:
            break
        found = {name.removeprefix(prefix): tensor for name, tensor in found.items()}
        removed.append(prefix)
    if rename is not None:
        renamed = {rename(name): tensor for name, tensor in found.items()}
        found = {name: tensor for name, tensor in renamed.items() if name is not None}
    return found, removed


def _check(module: nn.Module, weights: Mapping[str, Tensor], name: str) -> None:
    """Refuse weights of which any is missing, unknown, of another shape or type, or not finite."""
    wanted = module.state_dict()
    missing = [key for key in wanted if key not in weights and not key.endswith(UNUSED)]
    unknown = [key for key in weights if key not in wanted]
    if missing or unknown:
        parts = [f"lacks {_some(missing)}"] * bool(missing) + [f"has {_some(unknown)} too many"] * bool(unknown)
        raise WeightsError(f"--weights: {name} is of another network than --model: it {' and '.join(parts)}")
    shapes = [key for key, value in weights.items() if value.shape != wanted[key].shape]
    if shapes:
        raise WeightsError(f"--weights: {name} does not fit --model: {_shapes(shapes, weights, wanted)}")
    types = [
        key
        for key, value in weights.items()
        if value.is_complex() or value.is_quantized or value.layout != torch.strided
    ]
    if types:
        raise WeightsError(f"--weights: {name} holds {_some(types)} in a form that is no plain tensor of real numbers")
    bad = [
        f"{key} ({_count_bad(value)} of {value.numel()} values)" for key, value in weights.items() if _count_bad(value)
    ]
    if bad:
        raise WeightsError(f"--weights: {name} holds NaN or infinity in {_some(bad)}")


def _count_bad(value: Tensor) -> int:
    return 0 if not value.is_floating_point() else value.numel() - int(torch.isfinite(value.float()).sum())


def _shapes(keys: list[str], weights: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    """Say which shapes differ; if only those of the classifier do, in numbers of classes."""
    key, part = keys[0], list(wanted)[-1].rpartition(".")[0] + "."
    is_classifier = set(keys) == {k for k in wanted if k.startswith(part)}
    counts = {tuple(weights[k].shape[:1]) for k in keys}
    if is_classifier and len(counts) == 1 and all(weights[k].shape[1:] == wanted[k].shape[1:] for k in keys):
        return (
            f"it was trained for {weights[key].shape[0]} classes, the model has {wanted[key].shape[0]}; "
            "build the network with as many in a factory, --model FILE.py:FACTORY"
        )
    pairs = [f"{k} is {tuple(weights[k].shape)}, not {tuple(wanted[k].shape)}" for k in keys[:MOST_NAMES]]
    return "; ".join(pairs) + (f"; and {len(keys) - MOST_NAMES} more" if len(keys) > MOST_NAMES else "")


def _some(names: list[str]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
