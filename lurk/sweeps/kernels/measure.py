"""The kernel for each device: the only place that chooses one."""

import logging
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from lurk.config.logs import event
from lurk.sweeps.kernels import torch_maps
from lurk.sweeps.kernels.maps import Maps, Reading

Kernel = Callable[[Tensor, Reading, Tensor], Maps]


def measure(values: Tensor, reading: Reading, places: Tensor) -> Maps:
    """Measure maps with the fastest kernel that there is for the device of their values.

    Args:
        values: float32 (n, c, p), with any strides.
        reading: How they are read.
        places: int64 (n, s), the sampled positions of each image.

    Returns:
        What is measured.
    """
    kernel = _gpu_kernel(values.device) if values.is_cuda else torch_maps.measure
    return kernel(values, reading, places)


@cache
def _gpu_kernel(device: torch.device) -> Kernel:
    """The kernel of a GPU, tried on one value: Triton's, or PyTorch's operations where Triton does not work."""
    try:
        from lurk.sweeps.kernels import triton_maps

        one = torch.zeros((1, 1, 1), device=device)
        triton_maps.measure(one, Reading(), torch.zeros((1, 1), dtype=torch.int64)).drawn.cpu()
        return triton_maps.measure
    except Exception as error:  # a package, a compiler, a driver or a GPU that does not fit, each with its own error
        reason = (str(error).strip().splitlines() or [""])[0]
        event("no Triton kernel", level=logging.WARNING, device=str(device), reason=f"{type(error).__name__}: {reason}")
        return torch_maps.measure
