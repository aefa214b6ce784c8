"""The device that a model runs on: which one, and the model put there and back."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from lurk.errors import ModelError


def choose_device(name: str) -> torch.device:
    """The device of that name; `auto` is the first GPU, or the CPU where there is none.

    Args:
        name: Name of the device.

    Returns:
        The device.

    Raises:
        ModelError: There is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.zeros(1, device=name)
        return torch.device(name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"device {name!r} cannot be used ({reason}); choose another with --device") from error


def device_of(module: nn.Module) -> torch.device:
    """The device of a module's weights."""
    return next(iter(module.parameters()), torch.zeros(0)).device


@contextmanager
def placed(module: nn.Module, place: torch.device) -> Iterator[None]:
    """Put a module on a device, in full float32 precision and without chance, and back afterwards."""
    home = device_of(module)
    module.to(place)
    try:
        with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
            yield
    finally:
        module.to(home)
