"""The only place that fills a network with the weights of a file: all of them fit, or the network stays as it was."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path

import torch
from torch import Tensor, nn

from lurk.config.weights_name import split_weights
from lurk.errors import WeightsError
from lurk.models.weights.fitting import Fitting
from lurk.models.weights.misfit import cut, some
from lurk.models.weights.search import Rename
from lurk.models.weights.weights_file import hash_file, open_weights


@dataclass(frozen=True)
class Filled:
    """The file that filled a module.

    Args:
        name: Name of the file, with the part of it that was taken if others fit as well.
        sha256: SHA-256 of the file; if others fit as well, of that and the part.
        notes: What was taken and what was left; empty if the file holds the network's weights and nothing else.
        notice: A warning that the file holds parts of a network that this one does not have; empty if it does not.
    """

    name: str
    sha256: str
    notes: tuple[str, ...] = ()
    notice: str = ""


def fill(module: nn.Module, path: str | PathLike[str], rename: Rename | None = None) -> Filled:
    """Fill a module with the weights of a file; either all of them fit, or the module stays unchanged.

    The weights are found in any nesting and behind any prefix. There must be exactly one place in the file at which all
    names and shapes of the module are; places that hold the same values count as one. If one of two places is an
    average of the weights (`ema`, `swa`), that one is taken. Else the user says which, as in `run.pth:teacher`.

    Args:
        module: The network.
        path: A file that `torch.save`, `pickle.dump` or safetensors wrote, the index of several, or FILE:PART.
        rename: Gives the module's name for a name in the file, and None for a weight that the module does not need.

    Returns:
        What identifies the weights, and what was taken.

    Raises:
        WeightsError: The file cannot be read, does not fit, or holds NaN or infinity; the message says which.
    """
    name, part = split_weights(fspath(path))
    file = Path(name)
    sha256 = hash_file(file)
    with open_weights(file) as tree:
        fitting = Fitting(module, tree, file.name, rename)
        candidate = fitting.choose(part)
        weights = fitting.load(candidate)
        notes, unknown, is_choice = fitting.notes(candidate), fitting.unknown_parts(candidate), len(fitting.fits) > 1
    _check_values(weights, file.name)
    _check_kinds(weights, module.state_dict(), file.name)
    notes += _converted(weights, module, file.name)
    with torch.no_grad():
        module.load_state_dict(weights, strict=False)
    notice = f"{file.name} also holds {some(unknown)}, which the network does not have" if unknown else ""
    if not is_choice:
        return Filled(file.name, sha256, tuple(notes), notice)
    place = candidate.place or "."
    return Filled(
        f"{file.name}:{place}", hashlib.sha256(f"{sha256}:{place}".encode()).hexdigest(), tuple(notes), notice
    )


def _check_values(weights: Mapping[str, Tensor], file: str) -> None:
    bad = [
        f"{cut(name)} ({_count_bad(value)} of {value.numel()} values)"
        for name, value in weights.items()
        if _count_bad(value)
    ]
    if bad:
        more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
        raise WeightsError(f"--weights: {cut(file)} holds NaN or infinity in {', '.join(bad[:3])}{more}")


def _check_kinds(weights: Mapping[str, Tensor], own: Mapping[str, Tensor], file: str) -> None:
    """Refuse numbers of another kind than the network's, such as quantised weights without their scale."""
    other = [name for name, value in weights.items() if not _is_kind(value, own[name])]
    if other:
        types = [str(tensors[other[0]].dtype)[6:] for tensors in (weights, own)]
        raise WeightsError(
            f"--weights: {cut(file)} holds {some(other)} as {types[0]}, --model has {types[1]}; save them as that"
        )


def _is_kind(value: Tensor, own: Tensor) -> bool:
    """Whether a value has fractions where the network's has, and elsewhere keeps its value in the network."""
    if own.is_floating_point():
        return value.is_floating_point()
    return torch.equal(value.to(own.dtype).to(value.dtype), value)


def _count_bad(value: Tensor) -> int:
    return 0 if not value.is_floating_point() else value.numel() - int(torch.isfinite(value.float()).sum())


def _converted(weights: Mapping[str, Tensor], module: nn.Module, file: str) -> list[str]:
    """Say which number types of a file became others in the network, and whether any value changed."""
    own = module.state_dict()
    kept: dict[str, bool] = {}
    for name, value in weights.items():
        before, after = value.dtype, own[name].dtype
        if value.is_floating_point() and before != after:
            change = f"{str(before)[6:]} values as {str(after)[6:]}"
            kept[change] = kept.get(change, True) and torch.equal(value.to(after).to(before), value)
    return [f"{file}: {change}, {'unchanged' if same else 'rounded'}" for change, same in kept.items()]
