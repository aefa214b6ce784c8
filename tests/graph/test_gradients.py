import pytest
import torch
from torch import nn

from lurk.graph.gradients import GradientsOn


@pytest.mark.parametrize("way", [torch.no_grad, torch.inference_mode, lambda: torch.set_grad_enabled(False)])
def test_gradients_pass_through_code_that_turns_them_off(way):
    x = torch.tensor([2.0, 3.0], requires_grad=True)
    with GradientsOn(), way():
        y = (x * x).sum() + nn.functional.relu(x).sum()
    (found,) = torch.autograd.grad(y, x)
    assert found.tolist() == [5.0, 7.0]
    assert torch.is_grad_enabled()


def test_what_is_detached_stays_detached():
    x = torch.tensor([2.0], requires_grad=True)
    with GradientsOn():
        y = x * x.detach()
    assert torch.autograd.grad(y, x)[0].tolist() == [2.0]
