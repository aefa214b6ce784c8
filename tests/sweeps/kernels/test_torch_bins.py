"""Each way to count bin numbers against a count of one number at a time."""

from importlib.util import find_spec

import numpy as np
import pytest
import torch

from lurk.storage.quantile_bins import BINS, SIDE
from lurk.sweeps.kernels import numba_bins, torch_bins

GPU = torch.cuda.is_available()


def triton_count(numbers, counts, top):
    """Triton's kernel, on a GPU if there is one; without one `tests/conftest.py` has Triton interpret it."""
    from lurk.sweeps.kernels import triton_bins

    given = [tensor.cuda() if GPU else tensor for tensor in (numbers, counts, top)]
    triton_bins.count(*given)
    counts.copy_(given[1])
    top.copy_(given[2])


WAYS = {"torch": torch_bins.count, "numba": numba_bins.count} | (
    {"triton": triton_count} if find_spec("triton") else {}
)


def counted(batches, units):
    """Counts of whole batches by the definition: windows end at the highest number of all, at SIDE or above."""
    counts, every = np.zeros((units, BINS), np.int32), np.concatenate([batch.numpy() for batch in batches], 2)
    top = np.maximum(np.abs(every.astype(np.int64)).max((0, 2)), SIDE)
    for unit in range(units):
        for number in every[:, unit].reshape(-1).tolist():
            place = max(abs(number) - (int(top[unit]) - SIDE), 0)
            counts[unit, SIDE + (place if number > 0 else -place)] += 1
    return counts, top


@pytest.mark.parametrize("count", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("samples", [1, 7])
@pytest.mark.parametrize("last", [0, 300, 2500, 4079])
def test_counts_equal_those_of_one_number_at_a_time_as_windows_move_up(count, last, samples):
    generator = torch.Generator().manual_seed(0)
    batches = [
        torch.randint(-end, end + 1, (3, 5, samples), generator=generator).to(torch.int16)
        for end in (0, 10, SIDE, SIDE + 1, SIDE + 200, last)
    ]
    batches[2][:, 1].clamp_(min=0)
    counts, top = torch.zeros((5, BINS), dtype=torch.int32), torch.full((5,), SIDE, dtype=torch.int32)
    for batch in batches:
        count(batch, counts, top)
    expected, ends = counted(batches, 5)
    assert np.array_equal(counts.numpy(), expected)
    assert np.array_equal(top.numpy(), ends)
