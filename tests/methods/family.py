"""What the tests of the map methods share: small networks, and a request for a map."""

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

import lurk
from lurk.graph.hooks import frozen
from lurk.methods import METHODS, Map, MapMethod, MapRequest
from lurk.methods.attribution.target import Target


def ask(
    method: str, model: lurk.Model, image: Tensor, target: Target, *, report=lambda _done, _total: None, **options
) -> Map:
    entry = METHODS[method]
    assert isinstance(entry, MapMethod)
    quantiles = options.pop("quantiles", None)
    request = MapRequest(
        model, model.plan(), image[None], target, entry.spec.read(options), quantiles=quantiles, report=report
    )
    with frozen(model.module):
        found = entry.run(request)
    return replace(found, values=found.values[0], more={name: table[0] for name, table in found.more.items()})


def image_of(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def seeded(make, seed: int = 0) -> nn.Module:
    """Build a network with the same weights whenever it is built; the global generator stays as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make().eval()


def small(bias: bool = True) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1, bias=bias),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, padding=1, bias=bias),
        nn.ReLU(inplace=True),
        nn.AvgPool2d(2),
        nn.Conv2d(8, 8, 3, bias=bias),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 5, bias=bias),
    )


class Functional(nn.Module):
    """Functional rectifiers, a reused one and a residual sum."""

    def __init__(self, bias: bool = True) -> None:
        super().__init__()
        self.one = nn.Conv2d(3, 6, 3, padding=1, bias=bias)
        self.two = nn.Conv2d(6, 6, 3, padding=1, bias=bias)
        self.three = nn.Conv2d(6, 6, 3, padding=1, bias=bias)
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Linear(6, 5, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.one(x))
        x = functional.max_pool2d(x, 2)
        y = self.relu(self.two(x))
        x = self.relu(self.three(y) + x)
        return self.head(x.mean((2, 3)))


def model_of(make, shape=(3, 16, 16), seed: int = 0) -> lurk.Model:
    return lurk.load_model(seeded(make, seed), input_shape=shape)
