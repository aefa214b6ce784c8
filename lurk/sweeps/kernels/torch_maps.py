"""Maps measured with the operations of PyTorch, on any device: slower than a kernel, as they are read several times."""

from dataclasses import fields

import torch
from torch import Tensor

from lurk.sweeps.kernels.maps import LARGEST, Maps, Reading, bin_numbers

CHUNK, GPU_CHUNK = 1 << 18, 1 << 25


def measure(values: Tensor, reading: Reading, places: Tensor) -> Maps:
    """Measure maps, a few images at a time, which stay in the processor's cache.

    Args:
        values: floating point (n, c, p).
        reading: How they are read.
        places: int64 (n, s), the sampled positions of each image.

    Returns:
        What is measured.
    """
    n, channels, positions = values.shape
    chunk, places = CHUNK if values.device.type == "cpu" else GPU_CHUNK, places.to(values.device)
    step = max(1, chunk // (channels * positions))
    parts = [
        _measured(values[at : at + step].float().contiguous(), reading, places[at : at + step])
        for at in range(0, n, step)
    ]
    return Maps(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(Maps)))


def _measured(values: Tensor, reading: Reading, places: Tensor) -> Maps:
    finite = values.nan_to_num(nan=-LARGEST, posinf=LARGEST, neginf=-LARGEST)
    maximum, position = finite.max(2)
    scores = values.clamp(reading.low, reading.high)
    precise = scores.double()
    mean = precise.mean(2)
    return Maps(
        maximum=maximum,
        position=position.int(),
        lowest=torch.where((finite == finite[:, :, :1]).all(2), maximum, -torch.inf),
        value_mean=finite.double().mean(2),
        mean=mean,
        squares=precise.sub_(mean[:, :, None]).square_().sum(2),
        positive=(scores > 0).sum(2, dtype=torch.int32),
        bounded=((scores >= reading.upper) | (scores <= reading.lower)).sum(2, dtype=torch.int32),
        drawn=bin_numbers(scores.gather(2, places[:, None].expand(-1, scores.shape[1], -1))),
    )
