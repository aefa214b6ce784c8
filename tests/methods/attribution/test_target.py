import pytest
import torch
from torch import Tensor, nn

from lurk.errors import LurkError, ModelError
from lurk.graph.layers import find_layers
from lurk.graph.partial_forward import partial_forward
from lurk.methods.attribution.backsignal import target_signal
from lurk.methods.attribution.target import Target, forward_to, locate_maximum
from tests.methods.networks import image_of, network


def identity() -> nn.Module:
    """A filter that passes its image on, so that activations are the image's own values."""
    conv = nn.Conv2d(1, 2, 1, bias=False)
    conv.weight.data = torch.tensor([1.0, -1.0]).view(2, 1, 1, 1)
    return nn.Sequential(conv, nn.Flatten(), nn.Linear(12, 2, bias=False)).eval()


IMAGE = torch.tensor([[[1.0, 5.0, 2.0], [5.0, -7.0, 0.0]]])


def value(target: Target) -> float:
    with forward_to(find_layers(identity(), (1, 2, 3)), target) as forward:
        return float(forward(IMAGE[None])[0])


def test_each_kind_of_target_is_the_number_that_it_says():
    assert value(Target("0", 0)) == 5
    assert value(Target("0", 1)) == 7
    assert value(Target("0", 0, "position", row=1, col=1)) == -7
    assert value(Target("0", 0, "map")) == 6
    module = identity()
    score = float(module(IMAGE[None])[0, 1].detach())
    with forward_to(find_layers(module, (1, 2, 3)), Target("0", 0, "class", label=1)) as forward:
        assert float(forward(IMAGE[None])[0]) == score


def test_the_maximum_of_equal_values_is_the_first_row_by_row_and_takes_the_whole_gradient():
    made = find_layers(identity(), (1, 2, 3))
    assert locate_maximum(made, Target("0", 0), IMAGE[None]) == Target("0", 0, "position", row=0, col=1)
    with forward_to(made, Target("0", 0)) as forward:
        batch = IMAGE[None].clone().requires_grad_()
        (gradient,) = torch.autograd.grad(forward(batch)[0].sum(), batch)
    assert gradient.flatten().tolist() == [0, 1, 0, 0, 0, 0]


@pytest.mark.parametrize(("shift", "score"), [(10.0, 6.0), (-30.0, 0.0)])
def test_the_maximum_of_a_unit_at_a_bound_is_where_what_enters_its_activation_function_is_highest(shift, score):
    conv = nn.Conv2d(1, 1, 1)
    conv.weight.data.fill_(1.0)
    conv.bias.data.fill_(shift)
    made = find_layers(nn.Sequential(conv, nn.ReLU6(inplace=True)).eval(), (1, 2, 3))
    image = torch.tensor([[[1.0, 5.0, 2.0], [6.0, -7.0, 0.0]]])
    assert locate_maximum(made, Target("0", 0), image[None]) == Target("0", 0, "position", row=1, col=0)
    with forward_to(made, Target("0", 0)) as forward:
        batch = image[None].clone().requires_grad_()
        value, _ = forward(batch)
        assert float(value.detach()) == score
        (gradient,) = torch.autograd.grad(value.sum(), batch)
    assert gradient.flatten().tolist() == [0, 0, 0, 1.0 if shift > 0 else 0.0, 0, 0]


@pytest.mark.parametrize("where", ["position", "map", "class"])
def test_a_target_that_does_not_depend_on_the_image_stays_as_it_is(where):
    target = Target("0", 0, where, 1, 1, 1)
    assert locate_maximum(find_layers(identity(), (1, 2, 3)), target, IMAGE[None]) is target


def test_each_image_of_a_batch_has_its_own_number():
    made = find_layers(identity(), (1, 2, 3))
    with forward_to(made, Target("0", 0)) as forward:
        assert forward(torch.stack([IMAGE, 2 * IMAGE, -IMAGE]))[0].tolist() == [5, 10, 7]


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (Target("0", 2), "layer 0: unit must be from 0 to 1, not 2"),
        (Target("0", -1), "layer 0: unit must be from 0 to 1, not -1"),
        (Target("0", 0, "position", row=2), "rows 0 to 1 and columns 0 to 2, not row 2, column 0"),
        (Target("0", 0, "class", label=2), "class must be from 0 to 1, not 2"),
        (Target("nose", 0), "no layer 'nose'; its layers are 0, 2"),
        (Target("0", 0, "sum"), "a target is one of maximum, position, map, class, not 'sum'"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(target, words):
    with pytest.raises(LurkError, match=words):
        value(target)


def test_a_unit_that_is_not_there_has_no_maximum():
    with pytest.raises(LurkError, match="unit must be from 0 to 1, not 5"):
        locate_maximum(find_layers(identity(), (1, 2, 3)), Target("0", 5), IMAGE[None])


def test_a_network_without_scores_has_no_classes():
    module = nn.Sequential(nn.Conv2d(1, 2, 1)).eval()
    with (
        forward_to(find_layers(module, (1, 2, 3)), Target("0", 0, "class")) as forward,
        pytest.raises(ModelError, match="gives no class scores"),
    ):
        forward(IMAGE[None])


def bound_gradient(**options) -> Tensor:
    module = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU6()).eval()
    module[0].weight.data.fill_(2.0)
    module[0].bias.data.zero_()
    batch = IMAGE[None].clone().requires_grad_()
    with forward_to(find_layers(module, (1, 2, 3)), Target("0", 0, "map"), **options) as forward:
        number, _ = forward(batch)
        assert number.tolist() == [2 + 6 + 4 + 6]
        return torch.autograd.grad(number.sum(), batch)[0].flatten()


def test_the_targets_own_bound_lets_gradients_through_unless_told_otherwise():
    assert bound_gradient().tolist() == [2, 2, 2, 2, 0, 0]
    assert bound_gradient(through_bound=False).tolist() == [2, 0, 2, 0, 0, 0]


def test_the_open_bound_is_closed_again():
    module = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU6()).eval()
    batch = (100 * image_of(1, 1, 2, 3)).requires_grad_()
    with forward_to(find_layers(module, (1, 2, 3)), Target("0", 0, "map")) as forward:
        number, _ = forward(batch)
    (after,) = torch.autograd.grad(number.sum(), batch)
    (plain,) = torch.autograd.grad(module(batch).sum(), batch)
    assert torch.equal(after, plain)


def test_further_layers_can_be_had_beside_the_target():
    model = network("residual")
    with forward_to(model.plan(), Target("blocks.1.conv2", 1), ["stem"]) as forward:
        _, reached = forward(image_of(2, *model.input_shape))
        assert reached["stem"].shape == (2, 6, 8, 8)
        assert reached.output is None


def test_a_class_token_and_its_patches_are_targets_of_their_own():
    model = network("vit")
    with partial_forward(model.plan(), ["blocks.0.up", "blocks.0.up:class"]) as reach:
        reached = reach(image_of(1, *model.input_shape))
    assert reached["blocks.0.up"].shape == (1, 16, 4, 4)
    assert reached["blocks.0.up:class"].shape == (1, 16, 1, 1)


class Heads(nn.Module):
    """Features first, then the scores of two classes; both are linear, so that derivatives are weights."""

    def __init__(self, given: str) -> None:
        super().__init__()
        self.features, self.logits, self.given = nn.Linear(6, 4, bias=False), nn.Linear(6, 2, bias=False), given

    def forward(self, x: Tensor) -> object:
        x = x.flatten(1)
        features, logits = self.features(x), self.logits(x)
        whole = {"features": features, "logits": logits}
        return {"tuple": (features, logits), "dict": whole, "map": logits[:, :, None, None].expand(-1, -1, 2, 3)}[
            self.given
        ]


@pytest.mark.parametrize("given", ["tuple", "dict", "map"])
def test_a_class_is_explained_by_its_own_score_and_not_by_a_feature(given):
    module = Heads(given).eval()
    plan = find_layers(module, (1, 2, 3), classes=2)
    signal = target_signal(plan, Target("features", 0, "class", label=1), IMAGE[None])
    assert torch.allclose(signal.flatten(), module.logits.weight[1], atol=1e-6)


def test_a_class_without_names_is_explained_only_by_the_output_that_was_named():
    module = Heads("dict").eval()
    plan = find_layers(module, (1, 2, 3))
    with pytest.raises(ModelError, match=r"features \(n, 4\), logits \(n, 2\); say which with --output"):
        target_signal(plan, Target("features", 0, "class", label=1), IMAGE[None])
    plan = find_layers(module, (1, 2, 3), output="logits")
    signal = target_signal(plan, Target("features", 0, "class", label=1), IMAGE[None])
    assert torch.allclose(signal.flatten(), module.logits.weight[1], atol=1e-6)
    with pytest.raises(ModelError, match="--output 'nose'"):
        find_layers(module, (1, 2, 3), output="nose")
