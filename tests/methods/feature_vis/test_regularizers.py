"""Rules that keep pictures clean, against references and on paper."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from lurk.methods.feature_vis.regularizers import (
    PRESETS,
    Preset,
    Regularizers,
    blur,
    mean_distance,
    total_variation,
)

MEAN = torch.tensor([0.5, 0.4]).view(-1, 1, 1)


def pictures(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("width", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("size", [(16, 16), (9, 21), (2, 3)])
def test_a_blur_is_scipys(width, size):
    values = pictures(2, 3, *size)
    expected = np.stack([[gaussian_filter(channel, width) for channel in one] for one in values.double().numpy()])
    assert np.allclose(blur(values, width).numpy(), expected, atol=1e-6)


def test_no_rule_leaves_pictures_as_they_are():
    given = pictures(2, 2, 4, 4)
    assert torch.allclose(Regularizers().apply(given, given, MEAN, 0), given, atol=1e-7)


def test_decay_goes_towards_the_mean_colour():
    given = pictures(1, 2, 4, 4)
    assert torch.allclose(Regularizers(decay=0.25).apply(given, given, MEAN, 3), MEAN + 0.75 * (given - MEAN))


def test_the_blur_is_done_on_each_so_many_th_step():
    given, rule = pictures(1, 2, 8, 8), Regularizers(blur_width=1.0, blur_every=4)
    changed = [not torch.allclose(rule.apply(given, given, MEAN, step), given, atol=1e-4) for step in range(9)]
    assert changed == [step % 4 == 0 for step in range(9)]


def test_small_norm_takes_out_the_weakest_pixels():
    given = MEAN + torch.tensor([[3.0, -0.1], [0.3, -2.0]]) * torch.ones(1, 2, 1, 1) / 10
    found = Regularizers(norm_percentile=50).apply(given, given, MEAN, 0)
    kept = torch.tensor([[True, False], [False, True]])
    assert torch.allclose(found, torch.where(kept, given, MEAN))


def test_small_contribution_takes_out_the_pixels_that_matter_least():
    """The first channel pulls up and the second down: at the right the two cancel, though the pixels are strong."""
    values = torch.tensor([[[[0.1, 0.4]], [[0.1, 0.4]]]])
    slope = torch.tensor([[[[1.0, 1.0]], [[1.0, -1.0]]]])
    found = Regularizers(contribution_percentile=50).apply(MEAN + values, slope, MEAN, 0)
    assert torch.allclose(found, MEAN + values * torch.tensor([1.0, 0.0]))


def test_each_picture_has_a_percentile_of_its_own():
    given = pictures(2, 2, 6, 6) * torch.tensor([1.0, 100.0]).view(-1, 1, 1, 1)
    rule = Regularizers(norm_percentile=30)
    assert torch.equal(rule.apply(given, given, MEAN, 0)[:1], rule.apply(given[:1], given[:1], MEAN, 0))


def test_the_presets_are_the_published_ones():
    assert list(PRESETS.values()) == [
        Preset(Regularizers(0, 0.5, 4, 50, 0), 500, "progress", 2.0, 100),
        Preset(Regularizers(0.3, 0, 0, 20, 0), 750, "constant", 100),
        Preset(Regularizers(0.0001, 1.0, 4, 0, 0), 1000, "constant", 100),
        Preset(Regularizers(0, 0.5, 4, 0, 90), 1000, "progress", 2.0, 1e8),
    ]


def test_total_variation_is_the_mean_difference_of_neighbours():
    given = torch.tensor([[[[0.0, 1.0], [0.5, 0.5]]]])
    assert torch.allclose(total_variation(given), torch.tensor([0.5 + 0.5]))
    assert torch.equal(total_variation(torch.ones(3, 1, 1, 1)), torch.zeros(3))


def test_mean_distance_is_from_the_mean_colour():
    given = MEAN + torch.tensor([0.1, -0.3]).view(1, 2, 1, 1) * torch.ones(1, 2, 3, 3)
    assert torch.allclose(mean_distance(given, MEAN), torch.tensor([0.2]))
