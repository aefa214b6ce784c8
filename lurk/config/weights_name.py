"""What `--weights` names: a file, a part of a file as in `run.pth:ema`, or a word such as `random`."""

import re
from pathlib import Path

SUFFIXES = (".pth", ".pt", ".safetensors", ".ckpt", ".bin", ".th", ".tar", ".pkl", ".index.json")
WORDS = ("default", "random")


def split_weights(weights: str) -> tuple[str, str]:
    """The file that `--weights` names, and the part of it that is wanted.

    Args:
        weights: A file, or FILE:PART. A colon in the file's name or after a drive's letter does not count.

    Returns:
        The file, and the part; empty without one.
    """
    file, colon, part = weights.rpartition(":")
    if not colon or _is_there(weights):
        return weights, ""
    is_file = _is_there if re.search(r"[\\/]", part) else _is_file
    return (file, part) if is_file(file) else (weights, "")


def is_weights_file(weights: str) -> bool:
    """Whether `--weights` means a file rather than a word."""
    return weights.lower() not in WORDS and _is_file(split_weights(weights)[0])


def _is_file(name: str) -> bool:
    return name.lower().endswith(SUFFIXES) or _is_there(name)


def _is_there(name: str) -> bool:
    try:
        return Path(name).is_file()
    except OSError:  # the name is too long, or its folder may not be read
        return False
