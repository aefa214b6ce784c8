from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from lurk.graph.hooks import tapped
from lurk.graph.layers import find_layers
from lurk.graph.plan import Plan


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def activations(made: Plan, image: Tensor) -> tuple[dict[str, Tensor], object]:
    seen: dict[str, Tensor] = {}
    with (
        torch.no_grad(),
        tapped(made, lambda at, value: seen.__setitem__(made.layers[at].name, value.clone())) as forward,
    ):
        output = forward(image)
    return seen, output


class OneConv(nn.Module):
    """A convolution and what follows it."""

    def __init__(self, follow: Callable[[Tensor], Tensor], norm: nn.Module | None = None) -> None:
        super().__init__()
        self.conv, self.norm, self.follow = nn.Conv2d(3, 4, 3), norm or nn.Identity(), follow
        self.head = nn.Conv2d(4, 2, 1)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.follow(self.norm(self.conv(image))))


def in_place(x: Tensor) -> Tensor:
    x.relu_()
    return x


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "torch.relu": torch.relu,
    "method": lambda x: x.relu(),
    "in place": in_place,
    "clamp": lambda x: x.clamp(min=0),
    "silu": functional.silu,
    "hardswish": functional.hardswish,
    "x times sigmoid": lambda x: x * torch.sigmoid(x),
    "sigmoid times x": lambda x: x.sigmoid().mul(x),
    "mish by hand": lambda x: x * torch.tanh(functional.softplus(x)),
    "gelu by hand": lambda x: 0.5 * x * (1 + torch.erf(x / 2**0.5)),
    "tanh gelu by hand": lambda x: 0.5 * x * (1 + torch.tanh(0.7979 * (x + 0.044715 * x**3))),
    "hardswish by hand": lambda x: x * functional.relu6(x + 3) / 6,
    "leaky": lambda x: functional.leaky_relu(x, 0.1),
    "hardsigmoid by hand": lambda x: functional.relu6(x + 3) / 6,
    "hardsigmoid by hand, another way": lambda x: (x / 6 + 0.5).clamp(0, 1),
    "shifted": lambda x: functional.relu(x + 1),
    "cut twice": lambda x: functional.relu(x).clamp(max=0.3),
    "cut in place": lambda x: functional.relu(x).clamp_(max=0.3),
    "by a comparison": lambda x: torch.where(x > 0, x, 0.1 * x),
    "by a mask": lambda x: x * (x > 0),
    "by a filled mask": lambda x: x.masked_fill(x < 0, 0.0),
    "dropout first": lambda x: functional.relu(functional.dropout(x, 0.5, False)),
    "made on the fly": lambda x: nn.ELU(0.5)(x),  # noqa: PLW0108 - made anew in each call
}


@pytest.mark.parametrize("norm", [None, nn.BatchNorm2d(4), nn.GroupNorm(2, 4)], ids=["bare", "batch", "group"])
@pytest.mark.parametrize("name", list(ACTIVATIONS))
def test_tap_is_after_norm_and_activation(name: str, norm: nn.Module | None) -> None:
    module = OneConv(ACTIVATIONS[name], norm).eval()
    if isinstance(norm, nn.BatchNorm2d):
        norm.weight.data.fill_(-1.5)
    made = find_layers(module, (3, 9, 11))
    image = torch.randn(2, 3, 9, 11)
    seen, _ = activations(made, image)
    with torch.no_grad():
        wanted = ACTIVATIONS[name](module.norm(module.conv(image)).clone())
    assert [layer.tap for layer in made.layers] == ["post", "post"]
    torch.testing.assert_close(seen["conv"], wanted)


STOPS: dict[str, Callable[[Tensor], Tensor]] = {
    "scaling": lambda x: x * 2,
    "two users": lambda x: functional.relu(x) + x.flip(0).flip(0),
    "pooling": lambda x: functional.relu(functional.max_pool2d(x, 2, 1, 1)),
    "a weight": lambda x: functional.relu(x * torch.ones(4, 1, 1, requires_grad=True)),
    "softmax": lambda x: x.softmax(1),
}


@pytest.mark.parametrize("name", list(STOPS))
def test_tap_stays_at_the_module_before(name: str) -> None:
    module = OneConv(STOPS[name]).eval()
    image = torch.randn(2, 3, 9, 11)
    seen, _ = activations(find_layers(module, (3, 9, 11)), image)
    with torch.no_grad():
        torch.testing.assert_close(seen["conv"], module.conv(image))


def test_only_one_activation_is_followed() -> None:
    module = OneConv(lambda x: torch.sigmoid(functional.relu(x))).eval()
    image = torch.randn(1, 3, 9, 9)
    seen, _ = activations(find_layers(module, (3, 9, 9)), image)
    with torch.no_grad():
        torch.testing.assert_close(seen["conv"], module.conv(image).relu())
