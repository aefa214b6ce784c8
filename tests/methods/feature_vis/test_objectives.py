"""Objectives on activations whose values are known."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from lurk.errors import LurkError
from lurk.graph.layers import find_layers
from lurk.graph.partial_forward import partial_forward
from lurk.methods.feature_vis.objectives import channel, class_score, diverse, energy, likeness, neuron


class Given:
    """What a forward pass reached, given by hand."""

    def __init__(self, values, logits=None):
        self._values, self.class_scores = values, logits

    def __getitem__(self, layer):
        return self._values[layer]

    def has_before(self, layer):
        return False

    def before(self, layer):
        return self._values[layer]

    raised = before

    def places(self, layer, units):
        return units


MAPS = torch.arange(2 * 3 * 4 * 5).float().view(2, 3, 4, 5)
GIVEN = Given({"a": MAPS, "b": -MAPS}, torch.tensor([[1.0, 2.0], [3.0, 4.0]]))


def test_each_picture_has_a_unit_of_its_own():
    assert torch.equal(channel("a", (2, 0)).value(GIVEN), torch.stack([MAPS[0, 2].mean(), MAPS[1, 0].mean()]))
    assert torch.equal(class_score((1, 0)).value(GIVEN), torch.tensor([2.0, 3.0]))


def test_a_neuron_is_in_the_middle_where_no_position_is_given():
    assert torch.equal(neuron("a", (1, 1)).value(GIVEN), MAPS[:, 1, 2, 2])
    assert torch.equal(neuron("a", (1, 1), 0, 4).value(GIVEN), MAPS[:, 1, 0, 4])
    assert torch.equal(neuron("a", (1, 1), col=0).value(GIVEN), MAPS[:, 1, 2, 0])


def test_sums_and_weights_of_objectives_are_objectives():
    whole = channel("a", (0, 1)) + 0.5 * neuron("b", (2, 2)) - class_score((0, 0)) * 2
    expected = MAPS[[0, 1], [0, 1]].mean((1, 2)) - 0.5 * MAPS[:, 2, 2, 2] - 2 * torch.tensor([1.0, 3.0])
    assert torch.allclose(whole.value(GIVEN), expected)
    assert whole.layers == ("a", "b")
    assert whole.to_the_end
    assert not (channel("a", (0,)) + -channel("a", (1,))).to_the_end
    assert torch.equal((-channel("a", (0, 0))).value(GIVEN), -channel("a", (0, 0)).value(GIVEN))


def test_energy_is_half_the_mean_square_of_the_layer_or_of_a_unit():
    assert torch.allclose(energy("a").value(GIVEN), (MAPS**2).mean((1, 2, 3)) / 2)
    assert torch.allclose(energy("a", (1, 2)).value(GIVEN), (MAPS[[0, 1], [1, 2]] ** 2).mean((1, 2)) / 2)


def test_likeness_is_zero_for_what_was_given_and_less_otherwise():
    assert torch.equal(likeness("a", MAPS[:1]).value(Given({"a": MAPS[:1]})), torch.zeros(1))
    assert torch.allclose(likeness("a", MAPS[:1]).value(Given({"a": MAPS[:1] * 3})), torch.tensor([-4.0]))


def test_diversity_counts_how_alike_the_pictures_of_one_unit_are():
    """Unit 0 twice with the same map, unit 1 with maps that share nothing."""
    maps = torch.zeros(4, 2, 1, 2)
    maps[0, 0, 0, 0] = maps[1, 0, 0, 0] = 3.0
    maps[2, 0, 0, 0] = maps[3, 1, 0, 1] = 5.0
    values = diverse(channel("a", (0, 0, 0, 1)), "a", 2, 0.5).value(Given({"a": maps}))
    assert torch.allclose(values, torch.tensor([1.5 * 0.5, 1.5 * 0.5, 2.5, 2.5]))


def test_diversity_does_not_depend_on_the_scale_of_activations():
    maps = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    one = diverse(channel("a", (0, 0)), "a", 2, 1.0)
    assert torch.allclose(one.value(Given({"a": 100 * maps})), 100 * one.value(Given({"a": maps})), rtol=1e-4)


@pytest.mark.parametrize(
    ("objective", "words"),
    [
        (channel("a", (0, 3)), "layer a: unit must be from 0 to 2, not 3"),
        (channel("a", (-1, 0)), "not -1"),
        (class_score((2, 0)), "class must be from 0 to 1, not 2"),
        (neuron("a", (0, 0), 4, 0), "rows 0 to 3 and columns 0 to 4"),
        (neuron("a", (0, 0), 0, -2), "not row 0, column -2"),
    ],
)
def test_what_is_not_there_is_named(objective, words):
    with pytest.raises(LurkError, match=words):
        objective.value(GIVEN)


class Scaled(nn.Module):
    """A layer that gives its image times 2 plus a shift, through an activation function in place; then class scores."""

    def __init__(self, act: nn.Module, shift: float) -> None:
        super().__init__()
        self.conv, self.act, self.fc = nn.Conv2d(1, 1, 1), act, nn.Linear(1, 2)
        self.conv.weight.data.fill_(2.0)
        self.conv.bias.data.fill_(shift)
        self.fc.weight.data = torch.tensor([[3.0], [-3.0]])
        self.fc.bias.data = torch.tensor([40.0, -40.0])

    def forward(self, x):
        return self.fc(self.act(self.conv(x)).mean((2, 3))).sigmoid()


IMAGE = torch.tensor([[[[0.5, -1.0], [2.0, 0.25]]]])


def reached_value_and_gradient(module, objective):
    image = IMAGE.clone().requires_grad_()
    with partial_forward(find_layers(module.eval(), (1, 2, 2)), objective.layers) as reach:
        value = objective.value(reach(image))
        return value.item(), torch.autograd.grad(value.sum(), image)[0].flatten().tolist()


@pytest.mark.parametrize("shift", [-90.0, 90.0])
@pytest.mark.parametrize("act", [nn.ReLU6(inplace=True), nn.Tanh(), nn.Sigmoid(), nn.Hardtanh(inplace=True)])
def test_a_unit_is_raised_by_what_enters_its_activation_function(act, shift):
    value, slope = reached_value_and_gradient(Scaled(act, shift), channel("conv", (0,)))
    assert value == pytest.approx(2 * IMAGE.mean().item() + shift)
    assert slope == [0.5] * 4
    value, slope = reached_value_and_gradient(Scaled(act, shift), neuron("conv", (0,), 1, 0))
    assert (value, slope) == (4.0 + shift, [0, 0, 2, 0])


@pytest.mark.parametrize("act", [nn.Tanh(), nn.Sigmoid(), nn.Hardtanh(inplace=True)])
def test_a_signed_unit_is_raised_everywhere(act):
    value, slope = reached_value_and_gradient(Scaled(act, 0.0), channel("conv", (0,)))
    assert (value, slope) == (pytest.approx(2 * IMAGE.mean().item()), [0.5] * 4)


@pytest.mark.parametrize("act", [nn.ReLU(), nn.ReLU6(inplace=True)])
def test_a_unit_behind_a_rectifier_is_raised_where_it_is_active(act):
    value, slope = reached_value_and_gradient(Scaled(act, 0.0), channel("conv", (0,)))
    assert (value, slope) == (pytest.approx((1 + 4 + 0.5) / 4), [0.5, 0, 0.5, 0.5])


class ShiftedReLU(nn.Module):
    def forward(self, x):
        return functional.relu(x + 1)


@pytest.mark.parametrize(
    ("act", "shift", "value", "slope"),
    [
        (ShiftedReLU(), -1.5, [-0.5, -1, 2.5, -1], [0.5, 0, 0.5, 0]),  # what enters is -0.5, -3.5, 2.5 and -1
        (nn.Hardsigmoid(), -2.0, [-1, -3, 2, -1.5], [0.5, 0, 0.5, 0.5]),  # -1, -4, 2 and -1.5
        (nn.Threshold(0.5, 0.0), 0.25, [1.25, 0.5, 4.25, 0.75], [0.5, 0, 0.5, 0.5]),  # 1.25, -1.75, 4.25 and 0.75
        (ShiftedReLU(), -9.0, [-8, -11, -5, -8.5], [0.5] * 4),
    ],
)
def test_where_a_rectifier_is_inactive_its_threshold_counts_so_that_an_active_position_never_counts_less(
    act, shift, value, slope
):
    found = reached_value_and_gradient(Scaled(act, shift), channel("conv", (0,)))
    assert found == (pytest.approx(sum(value) / 4), slope)


def test_a_unit_behind_a_function_that_falls_is_raised_by_itself():
    value, slope = reached_value_and_gradient(Scaled(nn.SiLU(), 0.0), neuron("conv", (0,), 1, 0))
    entering = torch.tensor(4.0)
    assert value == pytest.approx((entering * entering.sigmoid()).item())
    derivative = entering.sigmoid() * (1 + entering * (1 - entering.sigmoid()))
    assert slope == pytest.approx([0, 0, 2 * derivative.item(), 0])


@pytest.mark.parametrize(("shift", "activations"), [(90.0, [6, 6, 6, 6]), (0.0, [1, 0, 4, 0.5]), (-90.0, [0] * 4)])
def test_energy_pushes_each_position_by_its_activation_beyond_the_bound_too(shift, activations):
    _, slope = reached_value_and_gradient(Scaled(nn.ReLU6(), shift), energy("conv", (0,)))
    assert slope == pytest.approx([2 * one / 4 for one in activations])


def test_a_class_is_raised_by_its_score_before_the_sigmoid():
    module = Scaled(nn.Identity(), 0.0)
    assert [layer.class_scores for layer in find_layers(module, (1, 2, 2)).layers] == [False, True]
    value, slope = reached_value_and_gradient(module, class_score((0,), "fc"))
    assert value == pytest.approx(3 * 2 * IMAGE.mean().item() + 40)
    assert slope == [1.5] * 4
    assert reached_value_and_gradient(module, class_score((1,), "fc"))[1] == [-1.5] * 4
