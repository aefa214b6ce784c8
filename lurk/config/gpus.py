"""The GPUs of this machine, counted without loading torch, and which of them a worker's process takes."""

import os
from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path

GPU_VARIABLE = "LURK_GPU"
ANY_GPU = ("auto", "cuda")


def count_gpus(devices: Path = Path("/dev"), environment: Mapping[str, str] = os.environ) -> int:
    """How many of NVIDIA's GPUs a process may use.

    Args:
        devices: The folder of the machine's devices.
        environment: The environment variables; `CUDA_VISIBLE_DEVICES` may hide some GPUs.

    Returns:
        Their number; 0 where it is not known, as on Windows.
    """
    count = len(list(devices.glob("nvidia[0-9]*")))
    shown = environment.get("CUDA_VISIBLE_DEVICES")
    if shown is None:
        return count
    names = takewhile(lambda name: name and not name.startswith("-"), map(str.strip, shown.split(",")))
    return min(count, len(list(names)))


def worker_count(device: str = "auto") -> int:
    """How many workers a machine has: one for each GPU if they may take any GPU, else one."""
    return max(1, count_gpus()) if device in ANY_GPU else 1


def worker_gpu() -> int:
    """Number of the GPU that this process takes where any will do; a supervisor numbers its workers."""
    return int(os.environ.get(GPU_VARIABLE) or 0)
