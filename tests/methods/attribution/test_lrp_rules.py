import pytest
import torch
from torch import nn
from torch.nn import functional

from lurk.methods.attribution.lrp_rules import CatchWeightedSums, RuleSet
from tests.methods.family import image_of, seeded

LOW, HIGH = -2.0, 3.0


def by_hand(rule, x, weight, bias, relevance):
    """Relevance of each input of a linear layer, one weight at a time: float64 (i,), (j, i), (j,), (j,)."""
    found = torch.zeros_like(x)
    for j in range(len(relevance)):
        parts = [float(x[i] * weight[j, i]) for i in range(len(x))]
        z = sum(parts) + float(bias[j])
        alike = [part if part * z > 0 else 0.0 for part in parts]
        if rule == "epsilon":
            shares = [part / z for part in parts]
        elif rule == "plus":
            shares = [part / sum(alike) if sum(alike) else 0.0 for part in alike]
        elif rule == "gamma":
            whole = z + 0.25 * sum(alike)
            shares = [(part + 0.25 * more) / whole for part, more in zip(parts, alike, strict=True)]
        elif rule == "flat":
            shares = [1 / len(parts)] * len(parts)
        else:
            bound = [LOW * max(float(w), 0) + HIGH * min(float(w), 0) for w in weight[j]]
            whole = sum(parts) - sum(bound)
            shares = [(part - less) / whole for part, less in zip(parts, bound, strict=True)]
        found += torch.tensor(shares, dtype=torch.float64) * relevance[j]
    return found


def shared(rule, x, run, signal):
    """Relevance of an input whose sums have the signal for each unit of them."""
    sharing = RuleSet(rule, rule, rule if rule in ("flat", "box") else None, 1e-12, 0.25, *bounds(x))
    leaf = x.clone().requires_grad_()
    with CatchWeightedSums(sharing, lambda given: given is leaf):
        z = run(leaf)
    (found,) = torch.autograd.grad(z, leaf, signal.view_as(z))
    return z.detach(), found * x


def bounds(x):
    return torch.full_like(x[0], LOW), torch.full_like(x[0], HIGH)


@pytest.mark.parametrize("rule", ["epsilon", "gamma", "plus", "flat", "box"])
@pytest.mark.parametrize("positive", [False, True])
def test_a_linear_layer_shares_as_the_rule_says(rule, positive):
    layer = seeded(lambda: nn.Linear(7, 4)).double().requires_grad_(False)
    x, signal = image_of(1, 7).double(), image_of(4, seed=1).double()
    x = x.abs() if positive else x
    z, found = shared(rule, x, layer, signal)
    wanted = by_hand(rule, x[0], layer.weight, layer.bias, z[0] * signal)
    assert torch.allclose(found[0], wanted, rtol=1e-8)


@pytest.mark.parametrize("rule", ["epsilon", "gamma", "plus", "flat"])
@pytest.mark.parametrize(
    "convolution",
    [
        lambda: nn.Conv2d(2, 4, 3, stride=2, padding=1),
        lambda: nn.Conv2d(2, 4, 3, groups=2, dilation=2, padding="same"),
        lambda: nn.ConvTranspose2d(2, 4, 3, stride=2, groups=2),
    ],
)
def test_a_convolution_shares_as_the_linear_layer_that_it_is(rule, convolution):
    layer = seeded(convolution).double().requires_grad_(False)
    x = image_of(1, 2, 4, 4).double()
    cells = torch.eye(32, dtype=torch.float64).view(32, 2, 4, 4)
    matrix = (layer(cells) - layer(torch.zeros_like(cells))).flatten(1).T
    outputs = layer(torch.zeros_like(x)).flatten()
    signal = image_of(len(outputs), seed=2).double()
    z, found = shared(rule, x, layer, signal)
    if rule == "flat":
        windows = (matrix != 0).double()
        wanted = (windows / windows.sum(1, keepdim=True) * (z.flatten() * signal)[:, None]).sum(0)
    else:
        wanted = by_hand(rule, x.flatten(), matrix, outputs, z.flatten() * signal)
    assert torch.allclose(found.flatten(), wanted, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("weighted", "norm"),
    [
        (lambda: nn.Conv2d(3, 4, 3), lambda: nn.BatchNorm2d(4)),
        (lambda: nn.Conv2d(3, 4, 3, bias=False), lambda: nn.BatchNorm2d(4, affine=False)),
        (lambda: nn.ConvTranspose2d(3, 4, 3), lambda: nn.BatchNorm2d(4)),
    ],
)
def test_a_normalisation_is_multiplied_into_the_sum_before_it(weighted, norm):
    one, two = seeded(weighted).requires_grad_(False), seeded(norm).requires_grad_(False)
    two.running_mean += image_of(4)
    two.running_var *= image_of(4, seed=1).exp()
    if two.affine:
        two.weight[:] = image_of(4, seed=2)
        two.bias[:] = image_of(4, seed=3)
    folded = seeded(weighted).requires_grad_(False)
    scale = (1 if two.weight is None else two.weight) * (two.running_var + two.eps).rsqrt()
    folded.weight *= scale.view(1, -1, 1, 1) if isinstance(one, nn.ConvTranspose2d) else scale.view(-1, 1, 1, 1)
    bias = 0 if one.bias is None else one.bias
    shift = (bias - two.running_mean) * scale + (0 if two.bias is None else two.bias)
    folded.bias = nn.Parameter(shift, requires_grad=False)
    x = image_of(1, 3, 6, 6)
    signal = image_of(*folded(x).shape, seed=4)
    for rule in ("plus", "gamma", "epsilon"):
        z, found = shared(rule, x, lambda leaf: two(one(leaf)), signal)
        again, wanted = shared(rule, x, folded, signal)
        assert torch.allclose(z, again, atol=1e-5)
        assert torch.allclose(found, wanted, rtol=1e-3, atol=1e-4 * float(wanted.abs().max()))


def test_a_normalisation_of_a_sum_that_was_changed_in_place_stands_alone():
    one, two = seeded(lambda: nn.Conv2d(3, 4, 3)).requires_grad_(False), nn.BatchNorm2d(4).eval().requires_grad_(False)
    two.running_mean += 1

    def run(leaf):
        y = one(leaf)
        y += 5
        return two(y)

    x = image_of(1, 3, 6, 6)
    z, _ = shared("plus", x, run, torch.ones(1, 4, 4, 4))
    assert torch.allclose(z, two(one(x) + 5), atol=1e-5)


def test_weights_that_the_image_makes_are_left_to_the_graph():
    x = image_of(1, 2, 4, 4)
    leaf = x.clone().requires_grad_()
    with CatchWeightedSums(RuleSet(), lambda _given: False):
        z = functional.conv2d(leaf, leaf[:, :, :2, :2])
    assert "Convolution" in z.grad_fn.name()
