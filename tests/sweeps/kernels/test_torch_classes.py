"""Each way to keep the moments of classes against NumPy's mean and variance of all values."""

import numpy as np
import pytest
import torch

from lurk.sweeps.kernels import numba_classes, torch_classes

WAYS = {"torch": torch_classes.add, "numba": numba_classes.add}


@pytest.mark.parametrize("add", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("size", [1, 7, 50])
def test_moments_are_those_of_all_images_of_a_class(add, size):
    generator = torch.Generator().manual_seed(size)
    first = torch.randn(50, 30, generator=generator)
    second = 1e6 + torch.randn(50, 30, generator=generator, dtype=torch.float64)  # far from 0, close to each other
    labels = torch.randint(-1, 4, (50,), generator=generator)
    count, moments = torch.zeros(5, dtype=torch.int64), torch.zeros(5, 2, 2, 30, dtype=torch.float64)
    for at in range(0, 50, size):
        part = slice(at, at + size)
        add((first[part], second[part]), labels[part], count, moments)
    for label in range(5):
        members = (labels == label).numpy()
        assert count[label] == members.sum()
        for number, values in enumerate((first.double().numpy(), second.numpy())):
            mine = values[members]
            mean, squares = moments[label, number].numpy()
            np.testing.assert_allclose(mean, mine.mean(0) if len(mine) else 0, rtol=1e-12, atol=1e-12)
            np.testing.assert_allclose(squares, mine.var(0) * len(mine) if len(mine) else 0, rtol=1e-8, atol=1e-12)
