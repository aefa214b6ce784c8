"""Images that differ from a known one in a window: what is computed in windows equals what the whole graph gives."""

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional

from lurk.graph.faster.folding import folded
from lurk.graph.faster.windowed_prefix import Prefix
from lurk.graph.layers import find_layers
from lurk.graph.partial_forward import Near, partial_forward


class Windowed(nn.Module):
    """Every operation that has a rule, and at last one that has none."""

    def __init__(self) -> None:
        super().__init__()
        self.strided = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(3, 2, padding=1, ceil_mode=True)
        self.wide = nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=2, bias=False)
        self.tall = nn.Conv2d(8, 8, (5, 1), stride=(1, 1), padding=(2, 0))
        self.mean = nn.AvgPool2d(2)
        self.skipping = nn.Conv2d(16, 4, 1, stride=2)
        self.last = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        images, count = x.size(0), x.shape[0]
        y = self.strided(x)
        z = self.relu(self.norm(y)) + y
        z = self.pool(z - 3.0) + 3.0  # the pool pads with less than what is negative
        before = self.tall(z)
        rectified = self.relu(z)  # which z then is, too
        z = self.wide(z) * 0.5 + before - rectified.sigmoid()
        z = self.skipping(torch.cat([self.mean(z), self.mean(torch.tanh(z) * z)], dim=1))
        return self.last(functional.adaptive_avg_pool2d(z, 1).reshape(images, -1)[:count])


class Shared(nn.Module):
    """Changes a value in place under one of its two names where windows end, and reads it under the other."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        rectified = functional.relu_(y)
        rectified.mul_(2.0)
        return (y + rectified).mean((2, 3))


def networks():
    return {
        "every rule": Windowed,
        "one value under two names": Shared,
        "residuals": torchvision.models.resnet18,
        "concatenations": torchvision.models.densenet121,
        "pools over uneven maps": torchvision.models.squeezenet1_1,
        "branches": lambda: torchvision.models.googlenet(init_weights=False, aux_logits=False),
        "gates": torchvision.models.mobilenet_v3_small,
        "tokens": lambda: torchvision.models.convnext_tiny(stochastic_depth_prob=0),
    }


def planned(make, size=(3, 75, 88)):
    torch.manual_seed(0)
    module = make().double()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = 1.0
    module.train()(torch.randn(4, *size, dtype=torch.float64))  # norms of what comes, so that squares have an effect
    return folded(find_layers(module.eval(), size), to_the_end=True)


def covered(image: Tensor, side: int) -> Tensor:
    """Squares at the corners, at the edges, cut by them, and inside."""
    height, width = image.shape[2:]
    places = [
        (0, 0), (0, width - side), (height - side, 0), (height - side, width - side), (height - 3, 17), (20, width - 1),
        (31, 40), (32, 41), (33, 42), (7, 13),
    ]  # fmt: skip
    batch = image.repeat(len(places), 1, 1, 1)
    for one, (top, left) in zip(batch, places, strict=True):
        one[:, top : top + side, left : left + side] = 3.0
    return torch.cat([batch, image])


def image_of(plan) -> Tensor:
    return torch.randn(1, *plan.input_shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("name", networks())
def test_scores_equal_those_of_the_whole_graph(name):
    plan = planned(networks()[name])
    image = image_of(plan)
    batch = covered(image, 12)
    with torch.no_grad():
        with partial_forward(plan, [], to_the_end=True) as forward:
            whole = forward(batch).output
        with partial_forward(plan, [], to_the_end=True, near=Near(image, 12)) as forward:
            found, again = forward(batch).output, forward(batch[3:5]).output
    effect = float((whole[:-1] - whole[-1]).abs().max())
    assert effect > 1e-6
    torch.testing.assert_close(found, whole, rtol=0, atol=1e-7 * effect)
    torch.testing.assert_close(again, whole[3:5], rtol=0, atol=1e-7 * effect)


def test_every_rule_is_used():
    plan = planned(Windowed)
    nodes = list(plan.graph.nodes)
    prefix = Prefix(plan, plan.graph, (), image_of(plan), 5)
    assert "adaptive_avg_pool2d" in nodes[prefix.length].name
    names = " ".join(node.name for node in nodes[: prefix.length])
    parts = ("size", "getattr", "strided", "norm", "pool", "wide", "tall", "mean_1", "cat", "skipping")
    assert [part for part in parts if part not in names] == []


def test_the_first_wanted_value_ends_the_prefix_and_is_whole():
    plan = planned(Windowed)
    image = image_of(plan)
    layer = next(one.name for one in plan.layers if one.name.startswith("wide"))
    near = partial_forward(plan, [layer], near=Near(image, 12))
    with torch.no_grad(), near as found, partial_forward(plan, [layer]) as forward:
        batch = covered(image, 12)
        torch.testing.assert_close(found(batch)[layer], forward(batch)[layer], rtol=1e-9, atol=1e-9)


def test_the_windows_of_the_network_are_small():
    plan = planned(torchvision.models.vgg11, (3, 224, 224))
    prefix = Prefix(plan, plan.graph, (), image_of(plan), 32)
    last = list(plan.graph.nodes)[prefix.length - 1]
    assert int(last.name.removeprefix("features_")) >= 16  # the seventh of eight convolutions


def test_an_image_that_differs_in_more_is_refused_and_missing_numbers_are_no_difference():
    plan = planned(Windowed)
    image = image_of(plan)
    image[0, :, 50, 50] = torch.nan
    prefix = Prefix(plan, plan.graph, (), image, 8)
    far = image.clone()
    far[0, 0, 3, 3] = far[0, 0, 3, 11] = 9.0
    with pytest.raises(ValueError, match="more than 8 pixels"):
        prefix(far)
    far[0, 0, 3, 11] = image[0, 0, 3, 11]
    prefix(far)


def test_a_window_as_large_as_the_image_changes_nothing():
    plan = planned(Windowed, (3, 16, 20))
    image, other = image_of(plan), torch.full((1, 3, 16, 20), 2.0, dtype=torch.float64)
    with torch.no_grad():
        with partial_forward(plan, [], to_the_end=True) as forward:
            whole = forward(other).output
        with partial_forward(plan, [], to_the_end=True, near=Near(image, 20)) as forward:
            torch.testing.assert_close(forward(other).output, whole)
