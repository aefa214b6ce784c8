"""Weights from a file: the only place that reads one. Nothing in it is ever executed, and all of it must fit."""

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
SHOWN = 3
Rename = Callable[[str], str | None]


@dataclass(frozen=True)
class Filled:
    """What came of filling a module from a file.

    Args:
        name: Name of the file.
        sha256: SHA-256 of the file.
        note: What was undone to make its names fit; empty where nothing was.
    """

    name: str
    sha256: str
    note: str


def is_file_name(weights: str) -> bool:
    """Whether `--weights` means a file rather than a name."""
    return weights.lower().endswith(SUFFIXES) or Path(weights).exists()


def fill(module: nn.Module, path: str | PathLike[str], rename: Rename | None = None) -> Filled:
    """Fill a module with the weights of a file; either all of them fit, or the module is left as it was.

    A WeightsError says why the file cannot be read or does not fit, or what in it is no number.

    Args:
        module: The network.
        path: A .safetensors file, or one that `torch.save` wrote.
        rename: The present name for a weight's name in the file, None for one that the network does without.

    Returns:
        The file's identity and what was undone.
    """
    file = Path(path)
    sha256 = _hash(file)
    found, undone = _unwrap(_read(file), file.name)
    weights, prefixes = _match_names(found, set(module.state_dict()), rename)
    _check(module, weights, file.name)
    with torch.no_grad():
        module.load_state_dict(weights, strict=False)
    undone += [f"prefix {prefix!r}" for prefix in prefixes]
    return Filled(file.name, sha256, f"{file.name}: {' and '.join(undone)} taken off its names" if undone else "")


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
    """The mapping from name to tensor inside a checkpoint, and the wrappers around it."""
    undone: list[str] = []
    while True:
        if isinstance(found, nn.Module) or not isinstance(found, Mapping):
            raise WeightsError(f"--weights: {name} holds {type(found).__name__}, not the weights of a network by name")
        tensors = {key: value for key, value in found.items() if isinstance(key, str) and isinstance(value, Tensor)}
        wrapper = next((key for key in WRAPPERS if isinstance(found.get(key), Mapping)), None)
        if wrapper is None or len(tensors) == len(found):
            break
        undone.append(f"wrapper {wrapper!r}")
        found = found[wrapper]
    odd = next((key for key, value in found.items() if not isinstance(value, Tensor)), None)
    if not found or odd is not None:
        reason = f"holds {odd!r}, which is no tensor" if found else "holds no weights"
        raise WeightsError(f"--weights: {name} {reason}; save the network's state_dict()")
    return tensors, undone


def _match_names(
    found: dict[str, Tensor], wanted: set[str], rename: Rename | None
) -> tuple[dict[str, Tensor], list[str]]:
    """Take known prefixes off names, as long as every name has them and the network's own have not."""
    undone: list[str] = []
    while not wanted & set(found):
        prefix = next((p for p in PREFIXES if all(name.startswith(p) for name in found)), None)
        if prefix is None:
            break
        found = {name.removeprefix(prefix): tensor for name, tensor in found.items()}
        undone.append(prefix)
    if rename is not None:
        renamed = {rename(name): tensor for name, tensor in found.items()}
        found = {name: tensor for name, tensor in renamed.items() if name is not None}
    return found, undone


def _check(module: nn.Module, weights: Mapping[str, Tensor], name: str) -> None:
    """Refuse weights that do not fit to the last one, or that are no numbers."""
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
    """Say what shapes differ; where it is the classifier alone, in numbers of classes."""
    key, part = keys[0], list(wanted)[-1].rpartition(".")[0] + "."
    is_classifier = set(keys) == {k for k in wanted if k.startswith(part)}
    counts = {tuple(weights[k].shape[:1]) for k in keys}
    if is_classifier and len(counts) == 1 and all(weights[k].shape[1:] == wanted[k].shape[1:] for k in keys):
        return (
            f"it was trained for {weights[key].shape[0]} classes, the model has {wanted[key].shape[0]}; "
            "build the network with as many in a factory, --model FILE.py:FACTORY"
        )
    pairs = [f"{k} is {tuple(weights[k].shape)}, not {tuple(wanted[k].shape)}" for k in keys[:SHOWN]]
    return "; ".join(pairs) + (f"; and {len(keys) - SHOWN} more" if len(keys) > SHOWN else "")


def _some(names: list[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
