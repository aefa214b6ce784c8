"""What a measurement was made on: the processor and the versions, without the names of machines or folders."""

import importlib.metadata
import os
import platform
from pathlib import Path

PACKAGES = ("torch", "torchvision", "numpy", "numba", "pillow")


def facts() -> str:
    """A line about this machine."""
    cores = len(os.sched_getaffinity(0))
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    return f"{cores} cores of {_processor()}; Python {platform.python_version()}, {versions}"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()
