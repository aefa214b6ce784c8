"""Which layers' units are the class scores, in networks made for it."""

import pytest
import torch
from torch import nn

from lurk.graph.layers import find_layers


class Head(nn.Module):
    """A body of 5 channels, and what is made of it."""

    def __init__(self, make, **parts):
        super().__init__()
        self.body = nn.Conv2d(3, 5, 3)
        self.fc, self.other, self.last = nn.Linear(5, 4), nn.Linear(5, 3), nn.Conv2d(5, 4, 1)
        self.make = make

    def forward(self, x):
        return self.make(self, torch.relu(self.body(x)))


def pooled(x):
    return x.mean((2, 3))


class Branching(nn.Module):
    """A network that no graph can be made of."""

    def __init__(self, finish):
        super().__init__()
        self.body, self.fc, self.finish = nn.Conv2d(3, 4, 3), nn.Linear(4, 4), finish

    def forward(self, x):
        y = pooled(self.body(x))
        return self.finish(self.fc(y if float(y.sum()) > -1e9 else -y))


MADE = {
    "linear": (lambda net, x: net.fc(pooled(x)), {"fc"}),
    "softmax": (lambda net, x: net.fc(pooled(x)).softmax(1), {"fc"}),
    "log softmax": (lambda net, x: nn.functional.log_softmax(net.fc(pooled(x)), 1), {"fc"}),
    "sigmoid": (lambda net, x: net.fc(pooled(x)).sigmoid(), {"fc"}),
    "dropout": (lambda net, x: nn.functional.dropout(net.fc(pooled(x)), 0.5, False), {"fc"}),
    "convolution, pooled": (lambda net, x: nn.functional.adaptive_avg_pool2d(net.last(x), 1).flatten(1), {"last"}),
    "convolution, rectified and pooled": (lambda net, x: net.last(x).relu().mean((2, 3)), {"last"}),
    "linear at each position": (lambda net, x: net.fc(x.permute(0, 2, 3, 1)).mean((1, 2)), {"fc"}),
    "positions": (lambda net, x: net.last(x), {"last"}),
    "positions, resized": (
        lambda net, x: nn.functional.interpolate(net.last(x), (9, 9), mode="bilinear", align_corners=False),
        {"last"},
    ),
    "in a dict": (lambda net, x: {"logits": net.fc(pooled(x)), "features": pooled(x)}, {"fc"}),
    "two heads": (lambda net, x: (net.other(pooled(x)), net.fc(pooled(x))), {"fc"}),
    "a hidden layer": (lambda net, x: net.fc(pooled(x)) @ torch.ones(4, 4), set()),
    "a sum": (lambda net, x: net.fc(pooled(x)) + net.last(x).mean((2, 3)), set()),
}


@pytest.mark.parametrize("name", MADE)
def test_the_layer_of_the_class_scores_is_known(name):
    make, expected = MADE[name]
    plan = find_layers(Head(make).eval(), (3, 9, 9), classes=4)
    assert {layer.name for layer in plan.layers if layer.class_scores} == expected


@pytest.mark.parametrize("finish", [nn.Identity(), nn.Softmax(1), nn.Sigmoid()], ids=["scores", "softmax", "sigmoid"])
def test_without_a_graph_the_values_tell(finish):
    plan = find_layers(Branching(finish).eval(), (3, 9, 9), classes=4)
    assert plan.graph is None
    assert {layer.name for layer in plan.layers if layer.class_scores} == {"fc"}


def test_a_network_without_class_scores_has_no_such_layer():
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
    plan = find_layers(module, (3, 9, 9), classes=7)
    assert not any(layer.class_scores for layer in plan.layers)
