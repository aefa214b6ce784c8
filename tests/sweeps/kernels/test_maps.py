"""Bin numbers against the edges of the bins."""

import numpy as np
import torch

from lurk.storage.quantile_bins import SHIFT
from lurk.sweeps.kernels.maps import bin_numbers


def test_a_value_lies_between_the_edges_of_its_bin_and_has_the_sign_of_its_number():
    values = torch.tensor([0.0, -0.0, 1e-45, -1e-45, 1e-30, 0.1, 1.0, -1.0, 5.9999, 6.0, -6.0, 3e38, -3e38])
    numbers = bin_numbers(values)
    assert numbers.dtype == torch.int16
    for value, number in zip(values.tolist(), numbers.tolist(), strict=True):
        low, high = (np.array([abs(number), abs(number) + 1], np.int32) << SHIFT).view(np.float32)
        assert low <= abs(value) < high
        assert number == 0 or (value < 0) == (number < 0)
