"""A batch lies in memory in channels-last order where the network gives the same for it, and else in row-major order."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from lurk.graph.hooks import tapped
from lurk.graph.layers import find_layers

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
    maps.reshape(len(maps), -1).mul_(2)  # a view of row-major maps, and a copy of others
    return maps.flatten(1)


def by_strides(maps: Tensor) -> Tensor:
    return maps.as_strided((len(maps), 7 * 64), (7 * 64, 1))


FLAT = {
    "flatten": (lambda maps: maps.flatten(1), torch.channels_last),
    "view": (lambda maps: maps.view(len(maps), -1), torch.contiguous_format),
    "changed in place": (doubled_in_place, torch.contiguous_format),
    "strides": (by_strides, torch.contiguous_format),
}


@pytest.mark.parametrize("name", FLAT)
def test_the_faster_order_is_taken_only_where_it_gives_the_same(name: str) -> None:
    flat, expected = FLAT[name]
    torch.manual_seed(0)
    module = Head(flat).eval()
    plan = find_layers(module, SHAPE)
    assert plan.memory_format == expected
    assert [layer.name for layer in plan.layers] == ["convs.0", "convs.2", "linear"]
    images, seen = torch.randn(4, *SHAPE), dict[int, Tensor]()
    with torch.no_grad(), tapped(plan, seen.__setitem__) as forward:
        forward(images.contiguous(memory_format=plan.memory_format))
        torch.testing.assert_close(seen[2][:, :, 0, 0], module(images))
