import pytest
import torch
from torch import nn

from lurk.models.doctor.input_statistics import misfit

IMAGES = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def network(**options) -> nn.Module:
    norm = nn.BatchNorm2d(3, **options)
    norm.running_mean[:], norm.running_var[:] = torch.tensor([1.0, 2.0, 3.0]), 4.0  # a deviation of 2
    if norm.affine:
        norm.weight.data, norm.bias.data = torch.tensor([0.5, -2.0, 1.0]), torch.tensor([5.0, 6.0, 7.0])
    return nn.Sequential(nn.Identity(), norm, nn.ReLU(inplace=True), nn.BatchNorm2d(3)).eval()


def as_trained(scale: float, shift: float) -> torch.Tensor:
    """Images whose channels have the running means and deviations, but for a factor and a shift in deviations."""
    return IMAGES * 2 * scale + torch.tensor([1.0, 2.0, 3.0]).view(3, 1, 1) + 2 * shift


@pytest.mark.parametrize("options", [{}, {"affine": False}])
@pytest.mark.parametrize(("scale", "shift"), [(1, 0), (3, 0), (0.25, 0), (1, 1.5), (1, -2)])
def test_shift_and_factor_are_those_of_the_first_batch_normalisation(options, scale, shift):
    found = misfit(network(**options), as_trained(scale, shift).split(3))
    assert found[0] == pytest.approx(abs(shift), abs=0.05)
    assert found[1] == pytest.approx(max(scale, 1 / scale), rel=0.05)


def test_without_running_statistics_there_is_nothing_to_compare():
    assert misfit(nn.Sequential(nn.Conv2d(3, 2, 3)), [IMAGES]) is None
    assert misfit(nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False)), [IMAGES]) is None


def test_a_channel_that_is_switched_off_does_not_count():
    module = network()
    module[1].weight.data[1] = 0
    assert misfit(module, [as_trained(2, 0)])[1] == pytest.approx(2, rel=0.05)
