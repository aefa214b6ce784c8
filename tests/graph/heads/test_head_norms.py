"""The value of a head, against numbers worked out with NumPy."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from lurk.graph.layers import find_layers
from tests.graph.test_activation_taps import activations

WIDTH, HEADS, SIDE = 4, 2, 3


class Projection(nn.Module):
    """Projects in the way that it is told to, with a bias that is far larger than the weights."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.weight, self.bias = nn.Parameter(torch.randn(WIDTH, WIDTH) / 100), nn.Parameter(torch.full((WIDTH,), 9.0))

    def forward(self, z: Tensor) -> Tensor:
        if self.kind == "by hand":
            return z @ self.weight.t() + self.bias
        if self.kind == "scaled":
            return functional.linear(z, self.weight * 0.5, self.bias)
        return torch.einsum("ntc,dc->ntd", z, self.weight) + self.bias


class OneAttention(nn.Module):
    """One attention over the pixels of an image."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.embed, self.qkv = nn.Conv2d(1, WIDTH, 1), nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH) if kind == "linear" else Projection(kind)
        if kind == "normed":
            self.out = nn.utils.parametrizations.weight_norm(nn.Linear(WIDTH, WIDTH))

    def forward(self, image: Tensor) -> Tensor:
        x = self.embed(image).flatten(2).transpose(1, 2)
        q, k, v = (part.unflatten(2, (HEADS, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, 2))
        z = (q @ k.transpose(2, 3) * 3).softmax(3) @ v
        return self.out(z.transpose(1, 2).flatten(2)).mean(1)


def worked_out(module: OneAttention, image: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """float64 (heads, tokens), entry by entry."""
    plain = {name: value.detach().double().numpy() for name, value in module.state_dict().items()}
    x = image.reshape(-1, 1) * plain["embed.weight"].reshape(1, WIDTH) + plain["embed.bias"]
    q, k, v = np.split(x @ plain["qkv.weight"].T + plain["qkv.bias"], 3, axis=1)
    found = np.zeros((HEADS, len(x)))
    for head in range(HEADS):
        own = slice(head * WIDTH // HEADS, (head + 1) * WIDTH // HEADS)
        for token in range(len(x)):
            scores = np.exp([3 * q[token, own] @ k[other, own] for other in range(len(x))])
            z = sum(share * v[other, own] for other, share in enumerate(scores / scores.sum()))
            found[head, token] = np.sqrt(((weight[:, own] @ z) ** 2).sum())
    return found


@pytest.mark.parametrize("kind", ["linear", "by hand", "scaled", "einsum", "normed"])
def test_the_value_is_the_norm_of_what_the_head_writes(kind):
    torch.manual_seed(0)
    module = OneAttention(kind).eval()
    weight = module.out.weight.detach().double().numpy() * (0.5 if kind == "scaled" else 1)
    plan, image = find_layers(module, (1, SIDE, SIDE)), torch.randn(2, 1, SIDE, SIDE)
    seen, _ = activations(plan, image)
    for at in range(2):
        expected = worked_out(module, image[at, 0].double().numpy(), weight)
        torch.testing.assert_close(seen["heads"][at].flatten(1).double(), torch.from_numpy(expected), rtol=1e-5, atol=0)
    assert next(layer for layer in plan.layers if layer.name == "heads").heads


def test_weights_are_read_when_the_network_runs():
    torch.manual_seed(0)
    module = OneAttention("linear").eval()
    plan, image = find_layers(module, (1, SIDE, SIDE)), torch.randn(1, 1, SIDE, SIDE)
    before, _ = activations(plan, image)
    with torch.no_grad():
        module.out.weight.mul_(2)
    after, _ = activations(plan, image)
    torch.testing.assert_close(after["heads"], 2 * before["heads"])


def test_half_precision_is_measured_in_single_precision():
    torch.manual_seed(0)
    module = OneAttention("linear").eval()
    plan, image = find_layers(module, (1, SIDE, SIDE)), torch.randn(1, 1, SIDE, SIDE)
    expected, _ = activations(plan, image)
    module = module.bfloat16()
    found, _ = activations(find_layers(module, (1, SIDE, SIDE)), image.bfloat16())
    assert found["heads"].dtype == torch.float32
    torch.testing.assert_close(found["heads"], expected["heads"], rtol=0.05, atol=0.02)
