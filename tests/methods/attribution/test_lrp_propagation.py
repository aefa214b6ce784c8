from functools import cache

import pytest
import torch
import torchvision
from captum.attr import LRP
from captum.attr._utils.lrp_rules import EpsilonRule
from torch import nn
from torch.nn import functional

import lurk
from lurk.errors import LurkError
from lurk.graph.hooks import frozen
from lurk.methods.attribution.lrp_propagation import missing_rule, relevance
from lurk.methods.attribution.lrp_rules import RuleSet
from lurk.methods.attribution.target import Target, forward_to
from tests.methods.family import Functional, image_of, model_of, seeded, small

RULES = {
    "epsilon": RuleSet(),
    "gamma": RuleSet("gamma", "gamma"),
    "composite": RuleSet("plus", "epsilon"),
    "flat": RuleSet("plus", "epsilon", "flat"),
    "box": RuleSet("plus", "epsilon", "box", low=torch.full((3, 1, 1), -9.0), high=torch.full((3, 1, 1), 9.0)),
}


class Net(nn.Module):
    """A convolution, whatever the test puts between, and a convolution; without biases."""

    def __init__(self, between, channels=6):
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 6, 3, bias=False), nn.Conv2d(channels, 4, 3, bias=False)
        self.between = between

    def forward(self, x):
        return self.two(self.between(self.one(x)))


class Does(nn.Module):
    def __init__(self, what):
        super().__init__()
        self.what = what

    def forward(self, x):
        return self.what(x)


def net(what, channels=6):
    return model_of(lambda: Net(Does(what), channels))


def given(model, image, target, sharing):
    with frozen(model.module):
        return relevance(model.plan(), target, image[None], sharing)[0]


def number(model, image, target):
    with forward_to(model.plan(), target) as forward:
        return float(forward(image[None])[0].detach())


def gradient_times_input(model, image, target):
    batch = image[None].clone().requires_grad_()
    with forward_to(model.plan(), target) as forward:
        (gradient,) = torch.autograd.grad(forward(batch)[0], batch)
    return gradient[0] * image


def resnet():
    network = torchvision.models.resnet18(weights=None)
    nn.init.zeros_(network.fc.bias)
    return network


def reused():
    class Reused(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.again = nn.Conv2d(3, 5, 3, bias=False), nn.Conv2d(5, 5, 3, padding=1, bias=False)
            self.relu = nn.ReLU(inplace=True)

        def forward(self, x):
            x = self.relu(self.first(x))
            for _ in range(2):
                x = self.relu(self.again(x))
            return functional.adaptive_max_pool2d(torch.cat([x, functional.avg_pool2d(x, 3, 1, 1)], 1), 1).flatten(1)

    return Reused()


BIAS_FREE = {
    "plain": (lambda: small(False), (3, 16, 16), Target("6", 1, "map")),
    "functional": (lambda: Functional(False), (3, 16, 16), Target("three", 2)),
    "reused": (reused, (3, 16, 16), Target("again:2", 1)),
    "resnet18": (resnet, (3, 32, 32), Target("layer3.1.conv1", 3)),
}


@cache
def bias_free(name):
    make, shape, unit = BIAS_FREE[name]
    return model_of(make, shape), image_of(*shape), unit


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", BIAS_FREE)
def test_relevance_is_kept_on_a_network_without_biases(name, rule):
    model, image, unit = bias_free(name)
    for target in (unit, Target(unit.layer, 0, "class", label=2)):
        whole = number(model, image, target)
        assert whole != 0
        assert float(given(model, image, target, RULES[rule]).sum()) == pytest.approx(whole, rel=0.01)


@pytest.mark.parametrize("name", BIAS_FREE)
def test_epsilon_is_gradient_times_input_on_a_rectified_network_without_biases(name):
    model, image, unit = bias_free(name)
    for target in (unit, Target(unit.layer, 0, "class", label=1)):
        wanted = gradient_times_input(model, image, target)
        found = given(model, image, target, RuleSet(epsilon=1e-9))
        assert torch.allclose(found, wanted, atol=1e-4 * float(wanted.abs().max()))


@pytest.mark.filterwarnings("ignore:Setting forward")
@pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already require gradients")
def test_equals_captum_with_biases():
    model, image = model_of(small), image_of(3, 16, 16)
    plain = seeded(small)
    for part in plain.modules():
        if isinstance(part, nn.ReLU):
            part.inplace = False
        if isinstance(part, (nn.Conv2d, nn.Linear, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.Flatten)):
            part.rule = EpsilonRule(epsilon=1e-9)
    theirs = LRP(plain).attribute(image[None], target=2)[0].detach()
    found = given(model, image, Target("6", 0, "class", label=2), RuleSet(epsilon=1e-9))
    assert torch.allclose(found, theirs, atol=1e-3 * float(theirs.abs().max()))


def test_a_two_layer_network_worked_on_paper():
    """x = (1, 2); hidden z = (1·3 − 2·1, 1·1 + 2·1) = (1, 3); y = 2·1 + 1·3 = 5."""
    module = nn.Sequential(nn.Conv2d(1, 2, (1, 2), bias=False), nn.ReLU(), nn.Conv2d(2, 1, 1, bias=False))
    with torch.no_grad():
        module[0].weight[:] = torch.tensor([[[[3.0, -1.0]]], [[[1.0, 1.0]]]])
        module[2].weight[:] = torch.tensor([[[[2.0]], [[1.0]]]])
    model = lurk.load_model(module, input_shape=(1, 1, 2))
    image = torch.tensor([[[1.0, 2.0]]])
    target = Target("2", 0, "map")
    epsilon = given(model, image, target, RuleSet(epsilon=1e-9)).flatten()
    assert epsilon.tolist() == pytest.approx([3 * 2 + 1 * 1, -2 * 2 + 2 * 1], abs=1e-5)
    plus = given(model, image, target, RULES["composite"]).flatten()
    assert plus.tolist() == pytest.approx([2 + 1, 0 + 2], abs=1e-5)
    gamma = given(model, image, target, RuleSet("gamma", "gamma", gamma=1.0)).flatten()
    assert gamma.tolist() == pytest.approx([2 * 6 / 4 + 3 * 2 / 6, 2 * -2 / 4 + 3 * 4 / 6], abs=1e-5)


@pytest.mark.parametrize(
    "function",
    [
        functional.silu,
        functional.gelu,
        functional.mish,
        functional.hardswish,
        functional.relu6,
        functional.elu,
        functional.selu,
        functional.celu,
        functional.leaky_relu,
        functional.softplus,
        torch.tanh,
        torch.sigmoid,
        functional.hardsigmoid,
        lambda x: x.clamp(0, 2),
        lambda x: x.clamp(min=0).pow(2),
        lambda x: functional.silu(x, inplace=True),
        lambda x: x * torch.sigmoid(x),
        lambda x: x * functional.relu6(x + 3) / 6,
        lambda x: x * torch.tanh(functional.softplus(x)),
        lambda x: 0.5 * x * (1 + torch.erf(x / 2**0.5)),
        lambda x: x * torch.sigmoid(x.mean((2, 3), keepdim=True)),
        lambda x: x * functional.relu(x.mean((2, 3), keepdim=True)),
        lambda x: x / (x.pow(2).mean(1, keepdim=True) + 1).sqrt(),
        lambda x: x * torch.rsqrt(x.var(1, keepdim=True) + 1),
        lambda x: functional.layer_norm(x, x.shape[1:]),
        lambda x: functional.group_norm(x, 3),
        lambda x: functional.local_response_norm(x, 2),
        lambda x: functional.interpolate(x, scale_factor=2, mode="bilinear"),
        lambda x: functional.pad(x, (1, 2, 0, 1), mode="reflect"),
        lambda x: functional.max_pool2d(x, 3, 2, 1),
        lambda x: functional.pixel_shuffle(functional.pixel_unshuffle(x, 2), 2),
        lambda x: torch.maximum(x, -x),
        lambda x: functional.dropout(x, 0.5, training=False),
    ],
)
def test_what_an_operation_is_given_it_passes_on(function):
    model, image = net(function), image_of(3, 16, 16)
    target = Target("two", 1, "map")
    for rule in ("epsilon", "composite"):
        whole = number(model, image, target)
        assert float(given(model, image, target, RULES[rule]).sum()) == pytest.approx(whole, rel=0.01, abs=1e-3)


def test_a_function_written_by_hand_is_the_function():
    image, target = image_of(3, 16, 16), Target("two", 1, "map")
    for one, two in (
        (functional.silu, lambda x: x * torch.sigmoid(x)),
        (functional.hardswish, lambda x: x * functional.relu6(x + 3) / 6),
        (functional.gelu, lambda x: 0.5 * x * (1 + torch.erf(x / 2**0.5))),
    ):
        maps = [given(net(function), image, target, RULES["composite"]) for function in (one, two)]
        assert torch.allclose(*maps, atol=1e-4 * float(maps[0].abs().max()))


def test_the_signal_takes_all_and_the_gate_nothing():
    image, target = image_of(3, 16, 16), Target("two", 1, "map")
    gated = net(lambda x: x * torch.sigmoid(x.mean((2, 3), keepdim=True)))
    held = net(lambda x: x * torch.sigmoid(x.mean((2, 3), keepdim=True)).detach())
    found = given(gated, image, target, RuleSet(epsilon=1e-9))
    wanted = gradient_times_input(held, image, target)
    assert torch.allclose(found, wanted, atol=1e-4 * float(wanted.abs().max()))
    assert not torch.allclose(found, gradient_times_input(gated, image, target), atol=1e-3 * float(wanted.abs().max()))


@pytest.mark.parametrize("groups", [1, 3])
def test_a_norm_holds_its_deviation_constant(groups):
    image, target = image_of(3, 16, 16), Target("two", 1, "map")
    scale = image_of(6, seed=5)

    def norm(x):
        return functional.group_norm(x, groups, scale)

    def held(x):
        parts = x.reshape(len(x), groups, -1)
        deviation = (parts.var(2, unbiased=False, keepdim=True) + 1e-5).sqrt().detach()
        return ((parts - parts.mean(2, keepdim=True)) / deviation).view_as(x) * scale.view(1, -1, 1, 1)

    found = given(net(norm), image, target, RuleSet(epsilon=1e-9))
    wanted = gradient_times_input(net(held), image, target)
    assert torch.allclose(found, wanted, atol=1e-4 * float(wanted.abs().max()))


@pytest.mark.parametrize("by_hand", [False, True])
def test_attention_holds_its_weights_constant(by_hand):
    def attend(x, hold):
        tokens = x.flatten(2).transpose(1, 2)
        if not (by_hand or hold):
            tokens = functional.scaled_dot_product_attention(tokens[:, None], tokens[:, None], tokens[:, None])[:, 0]
            return tokens.transpose(1, 2).reshape(x.shape)
        weights = (tokens @ tokens.transpose(1, 2) / 6**0.5).softmax(-1)
        return ((weights.detach() if hold else weights) @ tokens).transpose(1, 2).reshape(x.shape)

    image, target = image_of(3, 16, 16), Target("two", 1, "map")
    found = given(net(lambda x: attend(x, False)), image, target, RuleSet(epsilon=1e-9))
    wanted = gradient_times_input(net(lambda x: attend(x, True)), image, target)
    assert torch.allclose(found, wanted, atol=1e-4 * float(wanted.abs().max()))


def test_a_vision_transformer_has_relevance():
    def make():
        return torchvision.models.VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=5)

    model, image = model_of(make, (3, 32, 32)), image_of(3, 32, 32)
    target = Target("encoder.layers.encoder_layer_1.mlp.0", 3)
    found = given(model, image, target, RULES["epsilon"])
    assert found.shape == (3, 32, 32)
    assert bool(found.isfinite().all())
    assert float(found.abs().max()) > 0


def test_a_network_that_cannot_be_traced_has_relevance():
    class Raw(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Conv2d(3, 4, 3, bias=False), nn.Conv2d(4, 4, 3, bias=False)

        def forward(self, x):
            x = self.one(x).relu()
            if float(x.detach().sum()) > 1e9:
                x = -x
            return self.two(x)

    model, image = model_of(Raw), image_of(3, 16, 16)
    assert model.plan().graph is None
    target = Target("two", 1, "map")
    assert float(given(model, image, target, RULES["gamma"]).sum()) == pytest.approx(
        number(model, image, target), rel=0.01
    )


@pytest.mark.parametrize(
    ("what", "words"),
    [
        (torch.exp, "no rule for its operation Exp"),
        (lambda x: x.softmax(1), "goes through Softmax"),
        (lambda x: x * x.flip(3), "its operation Mul multiplies two values of which none is a gate"),
        (lambda x: functional.instance_norm(x.relu()), "normalises by the image itself"),
        (lambda x: 1 / (x + 9), "no rule for its operation Reciprocal"),
    ],
)
def test_an_operation_without_a_rule_is_named(what, words):
    model, image = net(what), image_of(3, 16, 16)
    with pytest.raises(LurkError, match=words):
        given(model, image, Target("two", 1), RULES["epsilon"])
    with frozen(model.module):
        assert words in missing_rule(model.plan(), Target("two", 1), image)
        assert missing_rule(model.plan(), Target("one", 1), image) == ""


def test_a_target_that_does_not_depend_on_the_image_has_none():
    model = net(torch.detach)
    assert float(given(model, image_of(3, 16, 16), Target("two", 1), RULES["epsilon"]).abs().max()) == 0


def test_a_change_of_a_part_in_place_is_refused():
    def halve(x):
        x = x.clone()
        x[:, :2] *= x[:, 2:4].relu()
        return x

    model = net(halve)
    with pytest.raises(LurkError, match="a part of a tensor in place"):
        given(model, image_of(3, 16, 16), Target("two", 1), RULES["epsilon"])


def test_the_flat_rule_sees_pixels_that_are_0():
    model = model_of(lambda: small(False))
    image = image_of(3, 16, 16)
    image[:, :, :8] = 0
    target = Target("6", 1, "map")
    found = given(model, image, target, RULES["flat"])
    assert float(found[:, :, :8].abs().sum()) > 0
    assert float(given(model, image, target, RULES["composite"])[:, :, :8].abs().max()) == 0
