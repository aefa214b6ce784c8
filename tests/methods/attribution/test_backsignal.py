"""The three rules: by hand, by references that share no code with them, and by captum where captum is right."""

import copy
import math
import warnings

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional

import lurk
from lurk.errors import LurkError
from lurk.graph.layers import find_layers
from lurk.methods.attribution.backsignal import RULES, backpropagate, refuse_unclear_rectifiers, target_signal
from lurk.methods.attribution.target import Target
from tests import reference
from tests.methods.networks import Functional, Plain, Residual, image_of, network, seeded

CAPTUM = 1e-4


def relative(one: Tensor, two: Tensor) -> float:
    """Largest difference, as a share of the largest value."""
    return float((one - two).abs().max() / two.abs().max())


def by_captum(module: nn.Module, image: Tensor, label: int, rule: str) -> Tensor:
    """What captum gives for the score of a class; its hooks do not bear operations in place."""
    from captum.attr import Deconvolution, GuidedBackprop, Saliency

    module = copy.deepcopy(module)
    for part in module.modules():
        if hasattr(part, "inplace"):
            part.inplace = False
    batch = image.clone().requires_grad_()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if rule == "gradient":
            return Saliency(module).attribute(batch, target=label, abs=False).detach()
        kind = Deconvolution if rule == "deconvnet" else GuidedBackprop
        return kind(module).attribute(batch, target=label).detach()


def by_class(module: nn.Module, image: Tensor, label: int, rule: str) -> Tensor:
    made = find_layers(module, tuple(image.shape[1:]))
    return target_signal(made, Target(made.layers[-1].name, 0, "class", label=label), image, rule)


PAPER = {
    "gradient": [4.0, -3.0, -2.0],
    "deconvnet": [3.0, 0.0, -2.0],
    "guided": [4.0, -4.0, 0.0],
}


@pytest.mark.parametrize("rule", RULES)
def test_two_layers_worked_by_hand(rule):
    """Filters a [1 -1] and b [-1 2] over the row 1 -1 2 give [2 -3] and [-3 5], so [2 0] and [0 5] after ReLU; the next
    filter, [4 2] of a and [1 -1] of b, gives 8 - 5 = 3. Going back, [4 2] and [1 -1] arrive at the ReLU, of which the
    gradient keeps [4 0] and [0 -1], deconvnet [4 2] and [1 0], guided backprop [4 0] and [0 0].
    """
    one, two = nn.Conv2d(1, 2, (1, 2), bias=False), nn.Conv2d(2, 1, (1, 2), bias=False)
    one.weight.data = torch.tensor([[1.0, -1.0], [-1.0, 2.0]]).view(2, 1, 1, 2)
    two.weight.data = torch.tensor([[4.0, 2.0], [1.0, -1.0]]).view(1, 2, 1, 2)
    module = nn.Sequential(one, nn.ReLU(inplace=True), two, nn.ReLU(inplace=True))
    image = torch.tensor([[[[1.0, -1.0, 2.0]]]])
    made = find_layers(module.eval(), (1, 1, 3))
    assert target_signal(made, Target("2", 0), image, rule).flatten().tolist() == PAPER[rule]


def rectified_by_hand(signal: Tensor, slope: Tensor, rule: str) -> Tensor:
    """The rule at a rectifier, value by value, from its derivative."""
    result = torch.zeros_like(signal)
    for at in range(signal.numel()):
        above, derivative = signal.flatten()[at].item(), slope.flatten()[at].item()
        if rule == "gradient":
            value = above * derivative
        elif rule == "deconvnet":
            value = max(above, 0.0)
        else:
            value = above * derivative if above > 0 and derivative > 0 else 0.0
        result.view(-1)[at] = value
    return result


def test_deconvnet_is_the_chain_of_unpooling_rectification_and_transposed_filters():
    """Zeiler and Fergus' own words, one step a line, on a network with max pooling."""
    module, image = seeded(Plain), image_of(1, 3, 16, 16)
    conv1, conv2, norm, conv3 = module[0], module[3], module[4], module[7]
    with torch.no_grad():
        first = functional.conv2d(image, conv1.weight, conv1.bias, padding=1).relu()
        pooled, switches1 = functional.max_pool2d(first, 2, return_indices=True)
        second = norm(functional.conv2d(pooled, conv2.weight, padding=1)).relu()
        pooled2, switches2 = functional.max_pool2d(second, 2, return_indices=True)
        third = functional.conv2d(pooled2, conv3.weight, conv3.bias, padding=1).relu()
        assert third[0, 5].max() > 0
        signal = torch.zeros_like(third).flatten(2)
        signal[0, 5, third[0, 5].argmax()] = 1
        signal = signal.view_as(third).relu()
        signal = functional.conv_transpose2d(signal, conv3.weight, padding=1)
        signal = functional.max_unpool2d(signal, switches2, 2).relu()
        signal = signal * (norm.weight / (norm.running_var + norm.eps).sqrt()).view(1, -1, 1, 1)
        signal = functional.conv_transpose2d(signal, conv2.weight, padding=1)
        signal = functional.max_unpool2d(signal, switches1, 2).relu()
        expected = functional.conv_transpose2d(signal, conv1.weight, padding=1)
    found = target_signal(find_layers(module, (3, 16, 16)), Target("7", 5), image, "deconvnet")
    assert relative(found, expected) < 1e-5
    assert expected.abs().max() > 0


class Between(nn.Module):
    """An activation between two convolutions."""

    def __init__(self, act) -> None:
        super().__init__()
        self.one, self.act, self.two = nn.Conv2d(2, 4, 3, padding=1), act, nn.Conv2d(4, 3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.two(self.act(self.one(x)))


class Called(nn.Module):
    """A function as a module, so that no module of the network is the rectifier."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Silent(nn.Module):
    """Works in place, and what it returns is not taken."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        self.relu(x)
        return x


RELU = {
    "module": nn.ReLU,
    "in place": lambda: nn.ReLU(inplace=True),
    "silent": Silent,
    "relu": lambda: Called(functional.relu),
    "relu_": lambda: Called(functional.relu_),
    "torch.relu": lambda: Called(torch.relu),
    "clamp": lambda: Called(lambda x: x.clamp(min=0)),
    "clip": lambda: Called(lambda x: torch.clip(x, 0.0)),
    "clamp_": lambda: Called(lambda x: x.clamp_(0)),
    "clamp by a tensor": lambda: Called(lambda x: torch.clamp(x, min=torch.tensor(0.0))),
    "clamp_min": lambda: Called(lambda x: torch.clamp_min(x, 0)),
    "max": lambda: Called(lambda x: torch.max(x, torch.tensor(0.0))),
    "maximum": lambda: Called(lambda x: torch.maximum(torch.zeros_like(x), x)),
    "fmax": lambda: Called(lambda x: torch.fmax(x, torch.tensor(0.0))),
    "threshold": lambda: nn.Threshold(0, 0),
    "mirrored": lambda: Called(lambda x: -torch.clamp(-x, max=0)),
    "mirrored minimum": lambda: Called(lambda x: -torch.minimum(-x, torch.tensor(0.0))),
    "leaky by 0": lambda: nn.LeakyReLU(0.0),
}


def both(act) -> nn.Module:
    return seeded(lambda: Between(act()))


def by_steps(module: Between, slope, image: Tensor, rule: str) -> Tensor:
    """The sum of the second filter's map, sent back by hand."""
    with torch.no_grad():
        before = module.one(image)
        seed = torch.zeros(1, 3, *(side - 2 for side in before.shape[2:]))
        seed[:, 1] = 1
        signal = functional.conv_transpose2d(seed, module.two.weight)
        signal = rectified_by_hand(signal, slope(before), rule)
        return functional.conv_transpose2d(signal, module.one.weight, padding=1)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("spelling", RELU)
def test_every_spelling_of_relu_is_the_same_rectifier(spelling, rule):
    module, image = both(RELU[spelling]), image_of(1, 2, 6, 7)
    found = target_signal(find_layers(module, (2, 6, 7)), Target("two", 1, "map"), image, rule)
    assert relative(found, by_steps(module, lambda x: (x > 0).float(), image, rule)) < 1e-5


def sigmoid(x: Tensor) -> Tensor:
    return 1 / (1 + (-x).exp())


def normal(x: Tensor) -> Tensor:
    return (1 + torch.erf(x / math.sqrt(2))) / 2 + x * (-(x**2) / 2).exp() / math.sqrt(2 * math.pi)


OTHERS = {
    "relu6": (nn.ReLU6, lambda x: ((x > 0) & (x < 6)).float()),
    "leaky": (nn.LeakyReLU, lambda x: torch.where(x > 0, 1.0, 0.01)),
    "leaky in place": (lambda: nn.LeakyReLU(0.2, inplace=True), lambda x: torch.where(x > 0, 1.0, 0.2)),
    "prelu": (lambda: nn.PReLU(4), lambda x: torch.where(x > 0, 1.0, 0.25)),
    "rrelu": (nn.RReLU, lambda x: torch.where(x > 0, 1.0, (1 / 8 + 1 / 3) / 2)),
    "elu": (nn.ELU, lambda x: torch.where(x > 0, torch.ones_like(x), x.exp())),
    "celu": (nn.CELU, lambda x: torch.where(x > 0, torch.ones_like(x), x.exp())),
    "selu": (
        nn.SELU,
        lambda x: 1.0507009873554805 * torch.where(x > 0, torch.ones_like(x), 1.6732632423543772 * x.exp()),
    ),
    "silu": (nn.SiLU, lambda x: sigmoid(x) * (1 + x * (1 - sigmoid(x)))),
    "gelu": (nn.GELU, normal),
    "hardswish": (
        nn.Hardswish,
        lambda x: torch.where(x <= -3, torch.zeros_like(x), (2 * x + 3) / 6).where(x < 3, torch.ones_like(x)),
    ),
    "softplus": (nn.Softplus, sigmoid),
    "hardtanh from 0": (lambda: nn.Hardtanh(0.0, 0.5), lambda x: ((x > 0) & (x < 0.5)).float()),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("act", OTHERS)
def test_other_rectifiers_follow_the_rule_by_their_derivative(act, rule):
    make, slope = OTHERS[act]
    module, image = both(make), 3 * image_of(1, 2, 6, 7)
    found = target_signal(find_layers(module, (2, 6, 7)), Target("two", 1, "map"), image, rule)
    assert relative(found, by_steps(module, slope, image, rule)) < 1e-5


GATED = {
    "swish": (nn.SiLU, lambda x: x * torch.sigmoid(x)),
    "swish the other way round": (nn.SiLU, lambda x: torch.sigmoid(x) * x),
    "mish": (nn.Mish, lambda x: x * torch.tanh(functional.softplus(x))),
    "hardswish": (nn.Hardswish, lambda x: x * functional.relu6(x + 3) / 6),
    "hardswish by hardsigmoid": (nn.Hardswish, lambda x: x * functional.hardsigmoid(x)),
    "gelu": (nn.GELU, lambda x: x * 0.5 * (1.0 + torch.erf(x / math.sqrt(2.0)))),
    "gelu by tanh": (
        lambda: nn.GELU(approximate="tanh"),
        lambda x: 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * torch.pow(x, 3)))),
    ),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("act", GATED)
def test_an_activation_that_is_written_out_is_the_same_rectifier_as_its_module(act, rule):
    make, written = GATED[act]
    image = 3 * image_of(1, 2, 6, 7)
    maps = [
        target_signal(find_layers(module, (2, 6, 7)), Target("two", 1, "map"), image, rule)
        for module in (both(lambda: Called(written)), both(make))
    ]
    assert relative(*maps) < 1e-5
    plain = target_signal(find_layers(both(make), (2, 6, 7)), Target("two", 1, "map"), image)
    assert rule == "gradient" or relative(maps[0], plain) > 0.1


class Excited(nn.Module):
    """A squeeze-and-excitation gate, and a gate of half of the channels by the other half."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.gate, self.two = nn.Conv2d(2, 4, 3), nn.Conv2d(4, 4, 1), nn.Conv2d(2, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.one(x)
        x = x * torch.sigmoid(self.gate(x.mean((2, 3), keepdim=True)))
        return self.two(functional.glu(x, 1))


@pytest.mark.parametrize("rule", ["deconvnet", "guided"])
def test_gates_that_are_made_of_more_than_the_value_have_their_derivative(rule):
    made, image = find_layers(seeded(Excited), (2, 6, 7)), image_of(1, 2, 6, 7)
    target = Target("two", 1, "map")
    assert torch.equal(target_signal(made, target, image, rule), target_signal(made, target, image))


def resnet18() -> nn.Module:
    return torchvision.models.resnet18(weights=None)


def vgg16() -> nn.Module:
    return torchvision.models.vgg16(weights=None, init_weights=False, num_classes=10)


@pytest.mark.parametrize("make", [resnet18, pytest.param(vgg16, marks=pytest.mark.slow)])
def test_torchvision_networks_equal_captum(make):
    """ResNet-18 calls one ReLU module twice in a block; captum 0.9 tells the two calls apart."""
    module, image = seeded(make), image_of(1, 3, 64, 64)
    made = find_layers(module, (3, 64, 64))
    for rule in RULES:
        ours = target_signal(made, Target(made.layers[-1].name, 0, "class", label=3), image, rule)
        assert relative(ours, by_captum(module, image, 3, rule)) <= CAPTUM, rule


class CappedRelu(nn.ReLU):
    """ReLU6 in a form that captum takes for a rectifier."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu6(x)


def capped(module: nn.Module) -> nn.Module:
    module = copy.deepcopy(module)
    for part in list(module.modules()):
        for name, child in list(part.named_children()):
            if isinstance(child, nn.ReLU6):
                setattr(part, name, CappedRelu())
    return module


def photograph(model: lurk.Model) -> Tensor:
    if not reference.PHOTOS.is_dir():
        return image_of(*model.input_shape)
    return model.preprocess(lurk.load_images(reference.PHOTOS, sample=1).read(3))


def test_the_bundled_network_equals_captum_once_its_relu6_is_made_known_to_it():
    """Captum hooks `nn.ReLU` alone: as it is, the network gets the plain gradient in the name of the other rules."""
    model = lurk.load_model("efficientnet_lite0")
    image, known = photograph(model)[None], capped(model.module)
    made = model.plan()
    target = Target(made.layers[-1].name, 0, "class", label=281)
    plain = by_captum(model.module, image, 281, "gradient")
    for rule in RULES:
        ours = target_signal(made, target, image, rule)
        assert relative(ours, by_captum(known, image, 281, rule)) <= CAPTUM, rule
        theirs = by_captum(model.module, image, 281, rule)
        assert relative(theirs, plain) <= CAPTUM
        assert rule == "gradient" or relative(theirs, ours) > 0.5


class Rewritten(nn.Module):
    """`Functional` with a module for each rectifier, and nothing in place."""

    def __init__(self, other: Functional) -> None:
        super().__init__()
        self.other = other
        self.relus = nn.ModuleList(nn.ReLU() for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        other, relus = self.other, self.relus
        x = relus[0](other.one(x))
        y = other.three(relus[1](other.two(x)))
        x = relus[2](y + x)
        return other.head(relus[3](other.four(functional.max_pool2d(x, 2))).mean((2, 3)))


class Copying(Functional):
    """`Functional` without operations in place on what captum's hooks hold."""

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.one(x))
        y = self.three(functional.relu(self.two(x)))
        x = torch.relu(y + x)
        return self.head(self.four(functional.max_pool2d(x, 2)).clamp(min=0).mean((2, 3)))


@pytest.mark.parametrize("rule", RULES)
def test_functional_rectifiers_equal_captum_on_the_same_network_written_with_modules(rule):
    module, image = seeded(Functional), image_of(2, 3, 16, 16)
    ours = by_class(module, image, 3, rule)
    assert relative(ours, by_captum(Rewritten(module), image, 3, rule)) <= CAPTUM
    functions = by_captum(seeded(Copying), image, 3, rule)
    assert torch.equal(functions, by_captum(seeded(Copying), image, 3, "gradient"))  # captum sees no rectifier
    assert rule == "gradient" or relative(functions, ours) > 0.5


class Separate(Residual):
    """`Residual` with a module for each call of its rectifiers."""

    def forward(self, x: Tensor) -> Tensor:
        if not hasattr(self, "own"):
            self.own = nn.ModuleList(nn.ReLU() for _ in range(5))
        x = self.own[0](self.stem(x))
        for number, block in enumerate(self.blocks):
            out = self.own[1 + 2 * number](block.bn1(block.conv1(x)))
            out = block.bn2(block.conv2(out))
            out = out * torch.sigmoid(block.gate(out.mean((2, 3), keepdim=True)))
            x = self.own[2 + 2 * number](out + x)
        return self.fc(x.mean((2, 3)))


@pytest.mark.parametrize("rule", RULES)
def test_a_rectifier_that_is_called_twice_equals_captum_on_a_network_with_two(rule):
    module, separate, image = seeded(Residual), seeded(Separate), image_of(2, 3, 16, 16)
    separate(image)
    assert relative(by_class(module, image, 3, rule), by_captum(separate, image, 3, rule)) <= CAPTUM


class Swish(torch.autograd.Function):
    """An operation with a derivative of its own."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx, signal: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return signal * sigmoid(x) * (1 + x * (1 - sigmoid(x)))


def halved(x: Tensor) -> Tensor:
    x = x.clone()
    functional.relu_(x[:, :2])
    return x


def negatives_out(x: Tensor) -> Tensor:
    x = x.clone()
    x[x < 0] = 0
    return x


HIDDEN = {
    "a derivative of its own": (Swish.apply, "Swish has a derivative of its own"),
    "a part in place": (halved, "a part of a tensor in place"),
    "where": (lambda x: torch.where(x > 0, x, torch.zeros_like(x)), "by a mask"),
    "masked_fill": (lambda x: x.masked_fill(x < 0, 0.0), "by a mask"),
    "index_put": (negatives_out, "by a mask"),
    "times a condition": (lambda x: x * (x > 0), "by a mask"),
    "times noughts and ones": (lambda x: (x > 0).float() * x, "by a mask"),
}


@pytest.mark.parametrize("act", HIDDEN)
def test_what_hides_whether_it_rectifies_is_refused_for_two_rules_and_has_its_gradient(act):
    function, words = HIDDEN[act]
    module, image = both(lambda: Called(function)), image_of(1, 2, 6, 7)
    made, target = find_layers(module, (2, 6, 7)), Target("two", 1, "map")
    assert words in refuse_unclear_rectifiers(made)
    for rule in ("deconvnet", "guided"):
        with pytest.raises(LurkError, match=f"{rule} cannot be had for this network: .*{words}"):
            target_signal(made, target, image, rule)
    batch = image.clone().requires_grad_()
    (expected,) = torch.autograd.grad(module(batch)[:, 1].sum(), batch)
    assert relative(target_signal(made, target, image), expected) < 1e-5


def test_refusing_never_raises_and_names_a_failure():
    module = both(nn.ReLU)
    made = find_layers(module, (2, 6, 7))
    module.two = nn.Conv2d(5, 3, 3)
    assert "it fails on an image of noise: RuntimeError" in refuse_unclear_rectifiers(made)


@pytest.mark.parametrize("name", ["plain", "functional", "residual", "vit", "grey", "untraceable"])
def test_ordinary_networks_are_not_refused(name):
    assert refuse_unclear_rectifiers(network(name).plan()) == ""


def test_an_unknown_rule_is_refused_with_the_good_ones():
    with pytest.raises(LurkError, match="gradient, deconvnet, guided, not 'lrp'"):
        backpropagate(torch.ones(1), torch.ones(1, 1, 1, 1), "lrp")


@pytest.mark.parametrize("rule", RULES)
def test_a_number_that_does_not_depend_on_the_image_sends_nothing(rule):
    image = image_of(1, 1, 2, 2).requires_grad_()
    assert not backpropagate(torch.ones(3), image, rule).any()
    assert not backpropagate(image_of(3).requires_grad_() * 2, image, rule).any()


@pytest.mark.parametrize("rule", RULES)
def test_hooks_are_gone_so_that_a_graph_that_is_kept_gives_its_gradient_again(rule):
    module, image = seeded(Plain), image_of(1, 3, 16, 16).requires_grad_()
    number = module(image)[:, 2]
    expected = backpropagate(number, image, keep=True)
    ruled = backpropagate(number, image, rule, keep=True)
    assert torch.equal(backpropagate(number, image, keep=True), expected)
    assert torch.equal(backpropagate(number, image, rule), ruled)


def bounded() -> tuple[nn.Module, Tensor]:
    """A unit that is at ReLU6's bound, a filter of [1 2] on the row 3 4: 11, cut to 6."""
    conv = nn.Conv2d(1, 1, (1, 2), bias=False)
    conv.weight.data = torch.tensor([1.0, 2.0]).view(1, 1, 1, 2)
    return nn.Sequential(conv, nn.ReLU6(inplace=True), nn.Flatten(), nn.Linear(1, 1)).eval(), torch.tensor(
        [[[[3.0, 4.0]]]]
    )


@pytest.mark.parametrize("rule", RULES)
def test_a_unit_at_its_own_upper_bound_is_explained_by_what_it_was_given(rule):
    module, image = bounded()
    made = find_layers(module, (1, 1, 2))
    assert made.layers[0].bound == 6
    for where in ("maximum", "position", "map"):
        assert target_signal(made, Target("0", 0, where), image, rule).flatten().tolist() == [1.0, 2.0]


def test_a_bound_that_is_not_the_targets_own_keeps_its_derivative():
    module, image = bounded()
    module[3].weight.data.fill_(1.0)
    assert not target_signal(find_layers(module, (1, 1, 2)), Target("3", 0), image).any()


@pytest.mark.parametrize(("act", "slope"), [(lambda: Called(lambda x: x.clamp(0, 6)), 1), (nn.Hardsigmoid, 1 / 6)])
def test_other_bounds_are_opened_too(act, slope):
    module, image = bounded()
    module[1] = act()
    found = target_signal(find_layers(module, (1, 1, 2)), Target("0", 0), image)
    torch.testing.assert_close(found.flatten(), torch.tensor([1.0, 2.0]) * slope)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("where", ["maximum", "map", "position"])
def test_a_unit_that_is_not_active_sends_nothing_back(rule, where):
    module = seeded(Plain)
    module[0].bias.data.fill_(-100.0)
    found = target_signal(find_layers(module, (3, 16, 16)), Target("0", 2, where), image_of(1, 3, 16, 16), rule)
    assert not found.any()


@pytest.mark.parametrize("rule", RULES)
def test_images_of_a_batch_are_explained_each_by_itself(rule):
    made, images = network("residual").plan(), image_of(3, 3, 16, 16)
    target = Target("blocks.1.conv2", 1)
    together = target_signal(made, target, images, rule)
    alone = torch.cat([target_signal(made, target, image[None], rule) for image in images])
    assert relative(together, alone) < 1e-5


@pytest.mark.parametrize("rule", RULES)
def test_weights_of_double_precision_take_a_float_image_and_give_a_float_map(rule):
    image, target = image_of(1, 3, 16, 16), Target("blocks.1.conv2", 1)
    single = target_signal(network("residual").plan(), target, image, rule)
    module = seeded(Residual).double()
    double = target_signal(find_layers(module, (3, 16, 16)), target, image, rule)
    assert double.dtype == torch.float32
    assert relative(single, double) < 1e-5
