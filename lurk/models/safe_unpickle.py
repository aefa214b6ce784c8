"""Reads what `torch.save` wrote; allows tensors and a few harmless types, and refuses everything else."""

import argparse
import pathlib
import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy._core import multiarray

from lurk.errors import WeightsError

HARMLESS: list[Callable[..., object] | tuple[Callable[..., object], str]] = [
    argparse.Namespace,
    pathlib.PosixPath,
    np.dtype,
    np.ndarray,
    (multiarray.scalar, "numpy.core.multiarray.scalar"),
    multiarray.scalar,
    *{type(np.dtype(kind)) for kind in "?bBhHiIlLqQefd"},
]
MAX_RATIO, SLACK_BYTES = 2, 64_000_000
DAMAGE = (
    RuntimeError,
    OSError,
    EOFError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    AssertionError,
    OverflowError,
    MemoryError,
    ImportError,
    RecursionError,
    struct.error,
    zipfile.BadZipFile,
    NotImplementedError,
)


def read_pickled(file: Path) -> object:
    """Read a file that `torch.save` wrote, on the CPU.

    Args:
        file: The file.

    Returns:
        What was saved: tensors, numbers, texts, and lists and mappings of these.

    Raises:
        WeightsError: The file is damaged, holds other objects, or is far larger when unpacked.
    """
    _check_archive(file)
    try:
        with torch.serialization.safe_globals(HARMLESS), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value: object = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(f"--weights: {file.name} {_reason(str(error))}") from error
    except DAMAGE as error:
        raise WeightsError(f"--weights: {file.name} is damaged or no file of weights") from error
    return value


def _check_archive(file: Path) -> None:
    """Refuse an archive that would fill the memory when unpacked, and one that holds a TorchScript program."""
    if not zipfile.is_zipfile(file):
        return
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error) as error:
        raise WeightsError(f"--weights: {file.name} is a damaged archive") from error
    unpacked, size = sum(entry.file_size for entry in entries), file.stat().st_size
    if unpacked > MAX_RATIO * size + SLACK_BYTES:
        raise WeightsError(f"--weights: {file.name} has {size:,} bytes and unpacks to {unpacked:,}: refused")
    if any(entry.filename.endswith("/constants.pkl") for entry in entries):
        raise WeightsError(f"--weights: {file.name} is a TorchScript program; save the network's state_dict()")


def _reason(message: str) -> str:
    found = re.search(r"(?:GLOBAL|global|class|type)[: ]+'?([A-Za-z_][\w.]*\.\w+)", message)
    if found:
        return f"holds Python objects ({found[1]}), which are not read; save the network's state_dict()"
    return "is damaged, or holds Python objects, which are not read; save the network's state_dict()"
