"""Maps measured in one read on a CPU by compiled code, which is chosen by how they lie in memory."""

import numpy as np
import torch
from torch import Tensor

from lurk.sweeps.kernels import numba_channels_last, numba_row_major
from lurk.sweeps.kernels.maps import Maps, Reading
from lurk.sweeps.kernels.threads import share


def measure(values: Tensor, reading: Reading, places: Tensor) -> Maps:
    """Measure maps with as many threads as PyTorch has.

    Args:
        values: float32 (n, c, p). If neither positions nor channels lie side by side, they are copied first.
        reading: How they are read.
        places: int64 (n, s), the sampled positions of each image.

    Returns:
        What is measured.
    """
    n, channels, positions = values.shape
    is_channels_last = values.stride(1) == 1 and (values.stride(2) != 1 or positions == 1)
    if not is_channels_last and values.stride(2) != 1:
        values = values.contiguous()
    kernel, step = (numba_channels_last, values.stride(2)) if is_channels_last else (numba_row_major, values.stride(1))
    floats, sums = torch.empty(2, n, channels), torch.empty(3, n, channels, dtype=torch.float64)
    counts = torch.empty(3, n, channels, dtype=torch.int32)
    drawn = torch.empty(n, channels, places.shape[1], dtype=torch.int16)
    out = floats.view(2, -1).numpy(), sums.view(3, -1).numpy(), counts.view(3, -1).numpy(), drawn.flatten(0, 1).numpy()
    size = sum((size - 1) * step for size, step in zip(values.shape, values.stride(), strict=True)) + 1
    memory, shape = values.as_strided((size,), (1,)).numpy(), np.array([values.stride(0), step, channels, positions])
    cuts = np.array([reading.low, reading.high, reading.lower, reading.upper], np.float32)

    def run(first: int, last: int) -> None:
        kernel.measure_tiles(memory, shape, cuts, places.numpy(), (first, last), out)

    share(run, n * -(-channels // kernel.CHANNELS), values.numel())
    return Maps(floats[0], counts[0], floats[1], sums[0], sums[1], sums[2], counts[1], counts[2], drawn)
