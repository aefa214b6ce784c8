"""The fastest kernel for each device: the only place that chooses one."""

import logging
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from lurk.config.logs import event
from lurk.storage.quantile_bins import BINS
from lurk.sweeps.hits import Hits
from lurk.sweeps.kernels import torch_bins, torch_lists, torch_maps
from lurk.sweeps.kernels.maps import Maps, Reading

Measure = Callable[[Tensor, Reading, Tensor], Maps]
Count = Callable[[Tensor, Tensor, Tensor], None]
Offer = Callable[[Hits, Tensor, Tensor, Tensor], Tensor]
Kernels = tuple[Measure, Count]

HALVES = (torch.float16, torch.bfloat16)  # which a GPU reads as they are
KNOWN = ("cpu", "cuda")  # of other devices some, such as mps, have no float64


def measure(values: Tensor, reading: Reading, places: Tensor) -> Maps:
    """Measure maps.

    Args:
        values: floating point (n, c, p), with any strides; float64 is rounded to float32.
        reading: How they are read.
        places: int64 (n, s), the sampled positions of each image.

    Returns:
        What is measured, on the device of the values if that knows float64, else on the CPU.
    """
    values = values if values.device.type in KNOWN else values.cpu()
    if not (values.is_cuda and values.dtype in HALVES):
        values = values.float()
    kernel, _ = _kernels(values.device)
    return kernel(values, reading, places.to(values.device))


def count(numbers: Tensor, counts: Tensor, top: Tensor) -> None:
    """Count in windows that reach as far as each unit's highest number; what falls below a window counts as 0.

    Args:
        numbers: int16 (n, c, s), as `bin_numbers` gives them.
        counts: int32 (c, BINS) on the same device, changed in place.
        top: int32 (c,), the end of each unit's window, changed in place.
    """
    _, kernel = _kernels(numbers.device)
    kernel(numbers, counts, top)


def offer(hits: Hits, keys: Tensor, position: Tensor, images: Tensor) -> Tensor:
    """Rank images against lists, all on the CPU.

    Args:
        hits: (u, k), changed in place.
        keys: int64 (n, u), of `rank_keys`.
        position: int32 (n, u).
        images: int64 (n,).

    Returns:
        int64, sorted: the images that entered some list and are in it.
    """
    _, _, kernel = _cpu_kernels()
    return kernel(hits, keys, position, images)


def _kernels(device: torch.device) -> Kernels:
    return _gpu_kernels(device) if device.type == "cuda" else _cpu_kernels()[:2]


@cache
def _cpu_kernels() -> tuple[Measure, Count, Offer]:
    """The kernels of a CPU: numba's, or PyTorch's operations where numba is missing."""
    try:
        from lurk.sweeps.kernels import numba_bins, numba_lists, numba_maps
    except ImportError as error:  # numba is missing, or does not fit NumPy
        event("no numba kernel", level=logging.WARNING, reason=str(error))
        return torch_maps.measure, torch_bins.count, torch_lists.offer
    return numba_maps.measure, numba_bins.count, numba_lists.offer


@cache
def _gpu_kernels(device: torch.device) -> Kernels:
    """The kernels of a GPU, tried on one value: Triton's, or PyTorch's operations where Triton does not work."""
    try:
        from lurk.sweeps.kernels import triton_bins, triton_maps

        one, place = torch.zeros((1, 1, 1), device=device), torch.zeros((1, 1), dtype=torch.int64)
        counts, top = (torch.zeros(shape, dtype=torch.int32, device=device) for shape in ((1, BINS), (1,)))
        triton_bins.count(triton_maps.measure(one, Reading(), place).drawn, counts, top)
        counts.cpu()  # an error while it ran shows here
        return triton_maps.measure, triton_bins.count
    except Exception as error:  # a package, a compiler, a driver or a GPU that does not fit, each with its own error
        reason = (str(error).strip().splitlines() or [""])[0]
        event("no Triton kernel", level=logging.WARNING, device=str(device), reason=f"{type(error).__name__}: {reason}")
        return torch_maps.measure, torch_bins.count
