"""The device and number type of a module: the only place that chooses, finds or changes them."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import nn

from lurk.config.gpus import ANY_GPU, worker_gpu
from lurk.errors import ModelError


def choose_device(name: str) -> torch.device:
    """The device of that name; `auto` is this process's GPU as `cuda` is, or the CPU if there is no GPU.

    Args:
        name: Name of the device.

    Returns:
        The device.

    Raises:
        ModelError: This machine has no such device.
    """
    if name in ANY_GPU and torch.cuda.is_available():
        return torch.device("cuda", worker_gpu() % torch.cuda.device_count())
    if name == "auto":
        return torch.device("cpu")
    try:
        torch.zeros(1, device=name)
        return torch.device(name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"device {name!r} cannot be used ({reason}); choose another with --device") from error


def device_of(module: nn.Module) -> torch.device:
    """The device of a module's weights; the CPU for a module without weights."""
    return next(module.parameters(), torch.zeros(0)).device


def dtype_of(module: nn.Module) -> torch.dtype:
    """The type of a module's first floating-point weights; float32 for a module without any."""
    return next((weight.dtype for weight in module.parameters() if weight.is_floating_point()), torch.float32)


@contextmanager
def moved_to(module: nn.Module, device: torch.device) -> Iterator[None]:
    """Move a module to a device, with exact and deterministic convolutions there, and back afterwards."""
    home = device_of(module)
    module.to(device)
    try:
        with (
            torch.cuda.device(device) if device.type == "cuda" else nullcontext(),
            torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False),
        ):
            yield
    finally:
        module.to(home)
