"""Whether the rows and columns of an activation are those of the image."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from lurk.graph.layers import find_layers


class HeadsTimesTokens(nn.Module):
    """A linear layer runs on (n, heads, tokens, channels), as in attention with a projection for each head."""

    def __init__(self, *, is_global: bool) -> None:
        super().__init__()
        self.patch, self.each, self.is_global = nn.Conv2d(3, 12, 8, 8), nn.Linear(4, 4), is_global

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patch(x).flatten(2).transpose(1, 2)
        if self.is_global:
            tokens = tokens + torch.softmax(tokens @ tokens.transpose(1, 2), 2) @ tokens
        heads = self.each(tokens.unflatten(2, (3, 4)).transpose(1, 2))
        return heads.transpose(1, 2).flatten(2).mean(1)


class ChannelsLast(nn.Module):
    """A linear layer runs on (n, rows, columns, channels), whole and halved."""

    def __init__(self) -> None:
        super().__init__()
        self.patch, self.each, self.second = nn.Conv2d(3, 12, 4, 4), nn.Linear(12, 12), nn.Linear(12, 12)

    def forward(self, x: Tensor) -> Tensor:
        values = self.each(self.patch(x).permute(0, 2, 3, 1))
        return self.second(values[:, ::2, ::2]).mean((1, 2))


class Doubled(nn.Module):
    """A map has each value four times, as behind an upsampling."""

    def __init__(self) -> None:
        super().__init__()
        self.patch, self.each = nn.Conv2d(3, 4, 4, 4), nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.each(functional.interpolate(self.patch(x), scale_factor=2.0)).mean((2, 3))


class Untraceable(nn.Module):
    """Another network behind a question to the values of the image."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x if float(x.abs().max()) < 1e9 else -x)


@pytest.mark.parametrize("tap", ["post", "raw"])
@pytest.mark.parametrize(
    ("module", "unplaced"),
    [
        (HeadsTimesTokens(is_global=False), {"each"}),
        (HeadsTimesTokens(is_global=True), {"each"}),
        (ChannelsLast(), set()),
        (Doubled(), set()),
    ],
    ids=["heads", "heads after attention", "channels last", "doubled"],
)
def test_positions_lie_as_the_image_does_or_it_is_not_known_where(module, unplaced, tap):
    module = Untraceable(module) if tap == "raw" else module
    plan = find_layers(module.eval(), (3, 32, 16))
    assert {layer.tap for layer in plan.layers} == {tap}
    found = {layer.name for layer, at in zip(plan.layers, plan.taps, strict=True) if not at.layout.placed}
    assert {name.removeprefix("inner.") for name in found} == unplaced
