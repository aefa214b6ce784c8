import pytest
import torch
from captum.attr import LayerAttribution, LayerGradCam
from torch import nn

import lurk
from lurk.errors import LurkError
from lurk.methods.attribution.target import Target
from tests.methods.family import Functional, ask, image_of, model_of, small


def captums(module, layer, image, label):
    cam = LayerGradCam(module, layer).attribute(image[None], target=label, relu_attributions=True)
    return LayerAttribution.interpolate(cam, tuple(image.shape[1:]), "bilinear")[0].detach()


def close(ours, theirs):
    return float((ours - theirs).abs().max() / theirs.abs().max())


@pytest.mark.parametrize("label", [0, 2, 4])
def test_equals_captum_for_a_class(label):
    model, image = model_of(small), image_of(3, 16, 16)
    ours = ask("grad_cam", model, image, Target("6", 0, "class", label=label)).values
    theirs = captums(model.module, model.module[7], image, label)
    assert ours.shape == (1, 16, 16)
    if float(theirs.max()) == 0:
        assert float(ours.max()) == 0
    else:
        assert close(ours, theirs) < 1e-4


def test_equals_captum_on_real_weights():
    model, image = lurk.load_model("efficientnet_lite0"), image_of(3, 224, 224)
    layer = model.layers[-2].name
    ours = ask("grad_cam", model, image, Target(layer, 0, "class", label=7)).values
    relu = [part for part in model.module.modules() if isinstance(part, nn.ReLU6)][-1]
    assert close(ours, captums(model.module, relu, image, 7)) < 1e-4


def test_a_unit_is_weighed_by_the_mean_derivative_in_the_layer_before():
    model, image = model_of(Functional), image_of(3, 16, 16)
    module = model.module
    ours = ask("grad_cam", model, image, Target("two", 3)).values
    one = torch.relu(module.one(image[None])).detach().requires_grad_()
    two = torch.relu(module.two(nn.functional.max_pool2d(one, 2)))
    (gradient,) = torch.autograd.grad(two[0, 3].max(), one)
    cam = (gradient.mean((2, 3), keepdim=True) * one).sum(1, keepdim=True).relu().detach()
    wanted = nn.functional.interpolate(cam, (16, 16), mode="bilinear")[0]
    assert float(wanted.max()) > 0
    assert close(ours, wanted) < 1e-4


def test_the_layer_can_be_chosen():
    model, image = model_of(small), image_of(3, 16, 16)
    target = Target("6", 0, "class", label=1)
    ours = ask("grad_cam", model, image, target, at="0").values
    theirs = captums(model.module, model.module[1], image, 1)
    assert close(ours, theirs) < 1e-4
    assert not torch.equal(ours, ask("grad_cam", model, image, target).values)


def test_a_layer_that_is_not_there_is_named():
    model = model_of(small)
    with pytest.raises(LurkError, match="no layer 'nowhere'"):
        ask("grad_cam", model, image_of(3, 16, 16), Target("6", 0), at="nowhere")


def test_a_network_that_cannot_be_traced_is_explained_as_well():
    class Raw(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3)

        def forward(self, x):
            x = self.one(x)
            if float(x.detach().sum()) > 1e9:
                x = -x
            return self.two(x.relu())

    model, image = model_of(Raw, (1, 12, 9)), image_of(1, 12, 9)
    assert model.plan().graph is None
    assert ask("grad_cam", model, image, Target("two", 1, "map")).values.shape == (1, 12, 9)
