"""The kernel for each device: the only place that chooses one."""

from torch import Tensor

from lurk.sweeps.kernels import torch_maps
from lurk.sweeps.kernels.maps import Maps, Reading


def measure(values: Tensor, reading: Reading, places: Tensor) -> Maps:
    """Measure maps with the fastest kernel that there is for the device of their values.

    Args:
        values: float32 (n, c, p), with any strides.
        reading: How they are read.
        places: int64 (n, s), the sampled positions of each image.

    Returns:
        What is measured.
    """
    return torch_maps.measure(values, reading, places)
