import pytest
import torch
from torch.nn import functional

from lurk.methods.attribution.target import Target
from tests.methods.family import ask, image_of, model_of, small


@pytest.mark.parametrize(("layer", "after"), [("0", 2), ("3", 5), ("6", 8)])
def test_equals_a_sum_place_by_place(layer, after):
    model, image = model_of(small), image_of(3, 16, 16)
    ours = ask("layer_cam", model, image, Target(layer, 0, "class", label=2)).values
    inner = model.module[:after](image[None]).detach().requires_grad_()
    score = model.module[after:](inner.clone())[0, 2]
    (gradient,) = torch.autograd.grad(score, inner)
    cam = torch.zeros(1, 1, *inner.shape[2:])
    for channel in range(inner.shape[1]):
        for row in range(inner.shape[2]):
            for col in range(inner.shape[3]):
                at = (0, channel, row, col)
                cam[0, 0, row, col] += max(float(gradient[at]), 0) * float(inner[at].detach())
    wanted = functional.interpolate(cam.clamp(min=0), (16, 16), mode="bilinear")[0]
    assert torch.allclose(ours, wanted, atol=1e-4 * float(wanted.max()))


def test_a_place_has_its_own_weight():
    """Grad-CAM lights both halves, as it weighs the channel as a whole; LayerCAM the half that the target reads."""

    class Half(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = torch.nn.Conv2d(1, 1, 1, bias=False)

        def forward(self, x):
            return self.first(x)[:, :, :, :4].sum((2, 3))

    model = model_of(Half, (1, 8, 8))
    with torch.no_grad():
        model.module.first.weight.fill_(1)
    target, image = Target("first", 0, "class"), torch.ones(1, 8, 8)
    fine, coarse = (ask(name, model, image, target).values[0] for name in ("layer_cam", "grad_cam"))
    assert float(fine[:, :4].min()) == 1
    assert float(fine[:, 4:].max()) == 0
    assert float(coarse.min()) == 0.5
