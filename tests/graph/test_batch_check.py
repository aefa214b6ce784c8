from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from lurk.errors import LayerError, ModelError
from lurk.graph.batch_check import random_part, watch
from lurk.graph.faster.folding import folded
from lurk.graph.hooks import tapped
from lurk.graph.layers import find_layers


class Dropping(nn.Module):
    """Forgets to say whether it is in training, as many networks do."""

    def forward(self, x):
        return functional.dropout(x, 0.5)


class Net(nn.Module):
    """A random part between two convolutions; or one that mixes the images of a batch."""

    def __init__(self, middle: nn.Module | None, mixes: bool = False) -> None:
        super().__init__()
        self.one, self.middle, self.two, self.mixes = (
            nn.Conv2d(3, 4, 3),
            middle or nn.Identity(),
            nn.Conv2d(4, 2, 3),
            mixes,
        )

    def forward(self, x):
        x = self.middle(self.one(x))
        return self.two(x - x.mean(0, keepdim=True) if self.mixes else x).mean((2, 3))


class Permuting(nn.Module):
    """Gives the positions in another order each time."""

    def forward(self, x):
        return x.flatten(2)[:, :, torch.randperm(64)]


@pytest.mark.parametrize(
    ("module", "part"),
    [
        (Net(Dropping()), "middle"),
        (Net(None), ""),
        (nn.Sequential(nn.Conv2d(3, 2, 1), nn.Dropout()), ""),
        (Permuting(), "the network itself"),
    ],
)
def test_the_first_random_part_is_named(module, part):
    images = torch.rand(3, 3, 8, 8)
    assert random_part(watch(module.eval(), images), watch(module, images)) == part


def test_layers_behind_a_random_part_are_left_out_for_that_reason():
    plan = find_layers(Net(Dropping()), (3, 8, 8))
    assert [layer.name for layer in plan.layers] == ["one"]
    assert (plan.left_out, plan.random) == (("two",), "middle")


def test_layers_that_mix_images_are_not_called_random():
    plan = find_layers(Net(None, mixes=True), (3, 8, 8))
    assert (plan.left_out, plan.random) == (("two",), "")


MIXING = {
    "reversed": lambda x: x.flip(0),
    "rolled": lambda x: x.roll(1, 0),
    "rolled back": lambda x: x.roll(-1, 0),
    "even images before odd ones": lambda x: torch.cat([x[::2], x[1::2]]),
    "summed up": lambda x: x.cumsum(0),
    "summed up from the last": lambda x: x.flip(0).cumsum(0).flip(0),
    "without their mean": lambda x: x - x.mean(0, keepdim=True),
    "each with those that are like it": lambda x: (
        (x.flatten(1) @ x.flatten(1).T / 99).softmax(1) @ x.flatten(1)
    ).view_as(x),
    "divided by their number": lambda x: x / x.shape[0],
}


@pytest.mark.parametrize("is_traced", [True, False], ids=["traced", "raw"])
@pytest.mark.parametrize("name", MIXING)
def test_layers_behind_what_mixes_images_are_left_out(name, is_traced):
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 1)

        def forward(self, x):
            x = self.one(x)
            return self.two(MIXING[name](x if is_traced or float(x.sum()) < 1e9 else -x)).mean((2, 3))

    plan = find_layers(Mixed(), (3, 8, 8))
    assert [layer.name for layer in plan.layers] == ["one"]
    assert (plan.left_out, plan.random) == (("two",), "")


def test_one_token_that_mixes_images_is_noticed():
    class Sharing(nn.Module):
        def forward(self, x):
            token = x[:, :1] if float(x.sum()) < 1e9 else -x[:, :1]
            return torch.cat([token + token.mean(0, keepdim=True) * (len(x) > 1), x[:, 1:]], 1)

    plan = find_layers(nn.Sequential(nn.Conv2d(3, 4, 1), nn.Flatten(2), Sharing(), nn.Linear(400, 2)), (3, 20, 20))
    assert plan.left_out == ("3",)


def test_watching_keeps_nothing_for_a_backward_pass():
    output = watch(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Softmax(1)), torch.rand(2, 3, 8, 8)).output
    assert output.grad_fn.name() == "SoftmaxBackward0"
    assert output.grad_fn._saved_result.numel() == 0


def test_a_network_for_one_image_only_is_refused_in_one_line():
    class Single(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 3)

        def forward(self, x):
            if float(x.sum()) < 1e9 and len(x) > 1:
                raise ValueError("one image, please")
            return self.conv(x)

    with pytest.raises(ModelError, match=r"^the model fails on 3 images of 3×8×8: ValueError: one image, please$"):
        find_layers(Single(), (3, 8, 8))


def test_a_network_that_is_random_throughout_is_refused_by_name():
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 3)

        def forward(self, x):
            return self.conv(x + torch.randn_like(x)).mean((2, 3))

    with pytest.raises(LayerError, match="answers differently each time, from conv on"):
        find_layers(Noisy(), (3, 8, 8))


class Relative(nn.Module):
    """Gives scores less their mean over the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 5)

    def forward(self, x):
        scores = self.head(functional.relu(self.conv(x)).mean((2, 3)))
        return scores - scores.mean(0)


@pytest.mark.parametrize("middle", ["the scores", "a normalisation"])
def test_class_scores_that_depend_on_the_other_images_are_refused(middle):
    scored = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False), nn.ReLU(), nn.Conv2d(4, 5, 6), nn.Flatten()
    )
    module = Relative() if middle == "the scores" else scored
    x = torch.randn(3, 3, 8, 8)
    assert not torch.allclose(module.eval()(x)[:1], module(x[:1]), atol=1e-3)
    plan = find_layers(module, (3, 8, 8))
    assert plan.scores.missing == "the model's scores for an image depend on the other images of its batch"
    assert [layer.name for layer in plan.layers if layer.class_scores] == []


def test_class_scores_behind_a_random_part_are_refused_for_that_reason():
    scores = find_layers(nn.Sequential(Net(Dropping()), nn.Flatten()), (3, 8, 8)).scores
    assert scores.missing == "the model answers differently each time, from 0.middle on: make it repeat itself"


class Rounding(nn.Module):
    """Rounds otherwise in a batch than alone, as kernels of low precision do; off by 1.6 %, two steps of bfloat16."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 3)

    def forward(self, x):
        return self.two(self.one(x) * (1 if len(x) == 1 else 1 + 2 * torch.finfo(torch.bfloat16).eps))


@pytest.mark.parametrize(("dtype", "left_out"), [(torch.bfloat16, ()), (torch.float32, ("two",))])
def test_the_rounding_of_low_precision_is_not_taken_for_a_mixing_of_images(dtype, left_out):
    assert find_layers(Rounding().to(dtype), (3, 8, 8)).left_out == left_out
    assert find_layers(Net(None, mixes=True).to(dtype), (3, 8, 8)).left_out == ("two",)


SHAPE = (3, 12, 12)


class Head(nn.Module):
    """Two convolutions, and a linear layer that reads what `flat` makes of their maps."""

    def __init__(self, flat: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.convs = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.Conv2d(5, 7, 3))
        self.linear, self.flat = nn.Linear(7 * 64, 4), flat

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.linear(self.flat(self.convs(images)))
        return found


def doubled_in_place(maps: Tensor) -> Tensor:
    maps.reshape(maps.shape[0], -1).mul_(2)  # a view of row-major maps, and a copy of others
    return maps.flatten(1)


def by_strides(maps: Tensor) -> Tensor:
    return maps.as_strided((maps.shape[0], 7 * 64), (7 * 64, 1))


FLAT = {
    "flatten": (lambda maps: maps.flatten(1), torch.channels_last),
    "view": (lambda maps: maps.view(maps.shape[0], -1), torch.contiguous_format),
    "changed in place": (doubled_in_place, torch.contiguous_format),
    "strides": (by_strides, torch.contiguous_format),
}


@pytest.mark.parametrize("name", FLAT)
def test_the_faster_order_is_taken_only_where_it_gives_the_same(name: str) -> None:
    flat, expected = FLAT[name]
    torch.manual_seed(0)
    module = Head(flat).eval()
    plan = find_layers(module, SHAPE)
    assert plan.graph is not None
    assert plan.fastest_format == folded(plan).memory_format == expected
    assert [layer.name for layer in plan.layers] == ["convs.0", "convs.2", "linear"]
    images, seen = torch.randn(4, *SHAPE), dict[int, Tensor]()
    with torch.no_grad(), tapped(folded(plan, to_the_end=True), seen.__setitem__) as forward:
        forward(images)
        torch.testing.assert_close(seen[2][:, :, 0, 0], module(images))
