"""The fastest kernel for each device: the only place that chooses one."""

import logging
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from lurk.config.logs import event
from lurk.sweeps.kernels import torch_bins, torch_maps
from lurk.sweeps.kernels.maps import Maps, Reading

Measure = Callable[[Tensor, Reading, Tensor], Maps]
Count = Callable[[Tensor, Tensor, Tensor], None]


def measure(values: Tensor, reading: Reading, places: Tensor) -> Maps:
    """Measure maps.

    Args:
        values: floating point (n, c, p), with any strides; float64 is rounded to float32.
        reading: How they are read.
        places: int64 (n, s), the sampled positions of each image.

    Returns:
        What is measured, on the device of the values.
    """
    if values.is_cuda:
        kernel = _gpu_kernel(values.device)
        return kernel(values.float() if values.dtype == torch.float64 else values, reading, places)
    kernel = _cpu_kernels()[0] if values.device.type == "cpu" else torch_maps.measure
    return kernel(values.float(), reading, places)


def count(numbers: Tensor, counts: Tensor, top: Tensor) -> None:
    """Count in windows that reach as far as each unit's highest number; what falls below a window counts as 0.

    Args:
        numbers: int16 (n, c, s) on a CPU, as `bin_numbers` gives them.
        counts: int32 (c, BINS), changed in place.
        top: int32 (c,), the end of each unit's window, changed in place.
    """
    _cpu_kernels()[1](numbers, counts, top)


@cache
def _cpu_kernels() -> tuple[Measure, Count]:
    """The kernels of a CPU: numba's, or PyTorch's operations where numba is missing."""
    try:
        from lurk.sweeps.kernels import numba_bins, numba_maps
    except ImportError as error:  # numba is missing, or does not fit NumPy
        event("no numba kernel", level=logging.WARNING, reason=str(error))
        return torch_maps.measure, torch_bins.count
    return numba_maps.measure, numba_bins.count


@cache
def _gpu_kernel(device: torch.device) -> Measure:
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
