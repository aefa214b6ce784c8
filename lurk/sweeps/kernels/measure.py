"""The fastest kernel for each device: the only place that chooses one."""

import logging
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from lurk.config.logs import event
from lurk.storage.quantile_bins import BINS
from lurk.sweeps.hits import Hits
from lurk.sweeps.kernels import torch_bins, torch_classes, torch_lists, torch_maps
from lurk.sweeps.kernels.maps import Maps, Reading


class Kernels(NamedTuple):
    """What measures the maps on a device and counts their bins, and, on the CPU always, keeps lists and class sums."""

    measure: Callable[[Tensor, Reading, Tensor], Maps]
    count_bins: Callable[[Tensor, Tensor, Tensor], None]
    offer: Callable[[Hits, Tensor, Tensor, Tensor], Tensor]
    add_to_classes: Callable[[tuple[Tensor, Tensor], Tensor, Tensor, Tensor], None]


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
    return _kernels(values.device).measure(values, reading, places.to(values.device))


def count(numbers: Tensor, counts: Tensor, top: Tensor) -> None:
    """Count bin numbers as `torch_bins.count` says, with the kernel of the device that they are on."""
    _kernels(numbers.device).count_bins(numbers, counts, top)


def offer(hits: Hits, keys: Tensor, position: Tensor, images: Tensor) -> Tensor:
    """Rank images against lists as `torch_lists.offer` says, on the CPU."""
    return _cpu_kernels().offer(hits, keys, position, images)


def add_to_classes(values: tuple[Tensor, Tensor], labels: Tensor, count: Tensor, moments: Tensor) -> None:
    """Add images to their classes as `torch_classes.add` says, on the CPU."""
    _cpu_kernels().add_to_classes(values, labels, count, moments)


def _kernels(device: torch.device) -> Kernels:
    return _gpu_kernels(device) if device.type == "cuda" else _cpu_kernels()


@cache
def _cpu_kernels() -> Kernels:
    """The kernels of a CPU: numba's, or PyTorch's operations where numba is missing."""
    try:
        from lurk.sweeps.kernels import numba_bins, numba_classes, numba_lists, numba_maps
    except ImportError as error:  # numba is missing, or does not fit NumPy
        event("no numba kernel", level=logging.WARNING, reason=str(error))
        return Kernels(torch_maps.measure, torch_bins.count, torch_lists.offer, torch_classes.add)
    return Kernels(numba_maps.measure, numba_bins.count, numba_lists.offer, numba_classes.add)


@cache
def _gpu_kernels(device: torch.device) -> Kernels:
    """The kernels of a GPU, tried on one value: Triton's, or PyTorch's operations where Triton does not work."""
    try:
        from lurk.sweeps.kernels import triton_bins, triton_maps

        one, place = torch.zeros((1, 1, 1), device=device), torch.zeros((1, 1), dtype=torch.int64)
        counts, top = (torch.zeros(shape, dtype=torch.int32, device=device) for shape in ((1, BINS), (1,)))
        triton_bins.count(triton_maps.measure(one, Reading(), place).drawn, counts, top)
        counts.cpu()  # an error while it ran shows here
        return _cpu_kernels()._replace(measure=triton_maps.measure, count_bins=triton_bins.count)
    except Exception as error:  # a package, a compiler, a driver or a GPU that does not fit, each with its own error
        reason = (str(error).strip().splitlines() or [""])[0]
        event("no Triton kernel", level=logging.WARNING, device=str(device), reason=f"{type(error).__name__}: {reason}")
        return _cpu_kernels()._replace(measure=torch_maps.measure, count_bins=torch_bins.count)
