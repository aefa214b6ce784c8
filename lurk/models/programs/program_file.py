"""Reads a program from a file, once it is clear that reading it runs nothing of it."""

import warnings
import zipfile
from pathlib import Path

import torch
from torch import nn

from lurk.errors import ModelError
from lurk.models.programs.exported import rebuild_exported
from lurk.models.programs.exported_check import check_exported
from lurk.models.programs.scripted import rebuild_scripted
from lurk.models.weights.misfit import cut
from lurk.models.weights.torch_file import MAX_RATIO, SLACK_BYTES
from lurk.models.weights.weights_file import HEAD_BYTES, kind_of_other

WEIGHTS = "it holds weights alone, not a network: a file of weights goes with --weights, beside a --model"
DAMAGE = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError, OSError, EOFError)
Names = dict[str, str]


def read_program(file: Path) -> nn.Module:
    """Read a program, and make a tree of modules of it.

    Args:
        file: A file that `torch.jit.save` or `torch.export.save` wrote.

    Returns:
        The network, on the CPU.

    Raises:
        ModelError: It is another kind of file, is damaged, would run code, or is no network that can be watched.
    """
    try:
        with file.open("rb") as opened:
            head = opened.read(HEAD_BYTES)
        if not head.startswith(b"PK\x03\x04"):
            raise ModelError(_other_kind(head))
        with zipfile.ZipFile(file) as archive:
            names = _names(archive, file.stat().st_size)
            is_exported = any(name.startswith("models/") for name in names)
            (check_exported if is_exported else _check_scripted)(archive, names)
    except (OSError, zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise ModelError(f"it is damaged or cannot be read: {cut(str(error))}") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch would rather have other formats
            if not is_exported:
                return rebuild_scripted(torch.jit.load(file, map_location="cpu"))  # type: ignore[no-untyped-call]  # torch's own
            with file.open("rb") as opened:
                return rebuild_exported(torch.export.load(opened)).cpu()
    except DAMAGE as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"it is damaged, or torch {torch.__version__} cannot read it: {reason[:150]}") from error


def _other_kind(head: bytes) -> str:
    """What a file is that is no archive."""
    if not head:
        return "it is empty"
    if head[4:6] == b"ET":
        return "it is an ExecuTorch program, which cannot be watched: give what torch.export.save writes"
    if head[:1] == b"\x08" and head[2:3] in (b"\x12", b"\x1a", b"\x22", b"\x3a"):
        return "it is an ONNX model, which is not read: give what torch.export.save writes, or the Python code"
    if (head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05") or head[8:9] == b"{":
        return WEIGHTS
    other = kind_of_other(head)
    return f"it is {other}" if other else "it is no file of torch.jit.save or torch.export.save, or it is damaged"


def _names(archive: zipfile.ZipFile, size: int) -> Names:
    """The full names in an archive by those without its folder."""
    entries = archive.infolist()
    if not entries or min(entry.header_offset for entry in entries) > 0:
        raise zipfile.BadZipFile("its end is missing")  # what was found is an archive inside it
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > MAX_RATIO * size + SLACK_BYTES:
        raise ModelError(f"it has {size:,} bytes and unpacks to {unpacked:,}: refused")
    names = {entry.filename.partition("/")[2] or entry.filename: entry.filename for entry in entries}
    if len(names) != len(entries):
        raise ModelError("two of its entries have one name: refused")
    return names


def _check_scripted(archive: zipfile.ZipFile, names: Names) -> None:
    """Refuse an archive that is no TorchScript, or of which loading would run something."""
    code = [full for name, full in names.items() if name.startswith("code/")]
    if any(name.startswith("data/aotinductor/") for name in names):
        raise ModelError("AOTInductor compiled it, so its inside cannot be watched: give what torch.export.save writes")
    if any("serialized_exported_program" in full for full in names.values()):
        raise ModelError("an older torch exported it: export the network anew")
    if not code or "constants.pkl" not in names:
        some = ", ".join(sorted(names)[:3])
        raise ModelError(WEIGHTS if "data.pkl" in names else f"it is an archive of other files: {cut(some)}")
    if any("torch/classes/" in full for full in code):
        raise ModelError("it is quantised, so it computes with integers: give the network as it was before that")
    if any(b"__setstate__" in archive.read(full) for full in code if full.endswith(".py")):
        raise ModelError("it would run code while it is read (__setstate__): such a file is refused")
