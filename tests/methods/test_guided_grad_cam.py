import pytest
import torch
from captum.attr import GuidedGradCam
from torch import nn

import lurk
from lurk.methods import METHODS
from lurk.methods.attribution.target import Target
from tests.methods.family import Functional, ask, image_of, model_of, seeded, small


@pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU activations")
@pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already require gradients")
@pytest.mark.parametrize("label", [0, 3])
def test_equals_captum_where_captum_is_right(label):
    model, image = model_of(small), image_of(3, 16, 16)
    ours = ask("guided_grad_cam", model, image, Target("3", 0, "class", label=label)).values
    plain = seeded(small)
    for part in plain.modules():
        if isinstance(part, nn.ReLU):
            part.inplace = False
    theirs = (
        GuidedGradCam(plain, plain[4]).attribute(image[None], target=label, interpolate_mode="bilinear")[0].detach()
    )
    assert float(theirs.abs().max()) > 0
    assert torch.allclose(ours, theirs, atol=1e-4 * float(theirs.abs().max()))


def test_is_the_product_of_its_two_parts_for_functional_rectifiers():
    model, image = model_of(Functional), image_of(3, 16, 16)
    target = Target("two", 3)
    product, cam = (ask(name, model, image, target).values for name in ("guided_grad_cam", "grad_cam"))
    assert product.shape == (3, 16, 16)
    assert float(product.abs().max()) > 0
    assert float(product[:, cam[0] == 0].abs().max()) == 0


def test_is_refused_where_guided_backprop_is_not_defined():
    class Own(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.relu()

        @staticmethod
        def backward(ctx, gradient):
            return gradient

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)

        def forward(self, x):
            return self.two(Own.apply(self.one(x)))

    model = model_of(Net)
    refuse = METHODS["guided_grad_cam"].refuse
    assert "Own" in refuse(model.plan())
    assert refuse(lurk.load_model("efficientnet_lite0").plan()) == ""
