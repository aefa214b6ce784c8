"""Small networks of every kind that a method meets, built from a seed, and what must be as before when it is done."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

import lurk


class Plain(nn.Sequential):
    """A chain of modules, the rectifiers in place, with max pooling and batch norm."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, 6, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 8, 3, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 8, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.5),
            nn.Linear(32, 5),
        )


class Functional(nn.Module):
    """Functional rectifiers, some in place, a sum in place, and a module in place whose result is not taken."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(3, 6, 3, padding=1)
        self.two = nn.Conv2d(6, 6, 3, padding=1)
        self.three = nn.Conv2d(6, 6, 3, padding=1)
        self.four = nn.Conv2d(6, 8, 3, stride=2)
        self.silent = nn.ReLU(inplace=True)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu_(self.one(x))
        y = self.two(x)
        self.silent(y)
        y = self.three(y)
        y += x
        x = torch.relu(y)
        x = self.four(functional.max_pool2d(x, 2)).clamp(min=0)
        return self.head(x.mean((2, 3)))


class Block(nn.Module):
    """A residual block with one rectifier for both of its calls, and a squeeze-and-excitation gate."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.gate = nn.Conv2d(channels, channels, 1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out = out * torch.sigmoid(self.gate(out.mean((2, 3), keepdim=True)))
        out += x
        return self.relu(out)


class Residual(nn.Module):
    """Two residual blocks behind a stem."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, stride=2, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.blocks = nn.Sequential(Block(6), Block(6))
        self.fc = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.blocks(self.relu(self.stem(x))).mean((2, 3)))


class Encoder(nn.Module):
    """A transformer's block."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True)
        self.up, self.act, self.down = nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        return x + self.down(self.act(self.up(self.norm2(x))))


class Vit(nn.Module):
    """A transformer with a class token."""

    def __init__(self, side: int = 16, width: int = 8) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, width, 4, stride=4)
        self.token = nn.Parameter(torch.randn(1, 1, width) * 0.1)
        self.place = nn.Parameter(torch.randn(1, (side // 4) ** 2 + 1, width) * 0.1)
        self.blocks = nn.Sequential(Encoder(width), Encoder(width))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.place
        return self.head(self.norm(self.blocks(x))[:, 0])


class Grey(nn.Module):
    """One channel, images that are wider than high, and rectifiers other than ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.act1 = nn.Conv2d(1, 5, 3, padding=1), nn.ReLU6(inplace=True)
        self.two, self.act2 = nn.Conv2d(5, 6, (3, 5), stride=2), nn.SiLU(inplace=True)
        self.head = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.act2(self.two(self.act1(self.one(x)))).amax((2, 3)))


class Untraceable(nn.Module):
    """A branch on the content of the image, which no graph can hold."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 8, 3, stride=2)
        self.relu, self.pool = nn.ReLU(inplace=True), nn.MaxPool2d(2)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.relu(self.one(x)))
        if float(x.detach().sum()) < 0:
            x = -x
        return self.head(self.relu(self.two(x)).mean((2, 3)))


SHAPES: dict[str, tuple[Callable[[], nn.Module], tuple[int, int, int]]] = {
    "plain": (Plain, (3, 16, 16)),
    "functional": (Functional, (3, 16, 16)),
    "residual": (Residual, (3, 16, 16)),
    "vit": (Vit, (3, 16, 16)),
    "grey": (Grey, (1, 12, 20)),
    "untraceable": (Untraceable, (3, 16, 16)),
}


def seeded(make: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    """Build a network whose weights and running statistics come from a seed; the global generator stays as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = make()
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean.normal_(0, 0.1)
                part.running_var.uniform_(0.5, 1.5)
                part.weight.data.normal_()
    return module.eval()


def network(name: str, seed: int = 0) -> lurk.Model:
    make, shape = SHAPES[name]
    return lurk.load_model(seeded(make, seed), input_shape=shape)


def image_of(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def through(module: nn.Sequential, count: int, x: Tensor) -> Tensor:
    """What the first parts of a chain make of an image."""
    for part in list(module)[:count]:
        x = part(x)
    return x


def state_of(module: nn.Module) -> list[object]:
    """Whatever a method must leave as it was, in a form that can be compared."""
    weights = [
        (name, tensor.detach().clone().flatten().tolist(), tensor.requires_grad, tensor.grad is None)
        for name, tensor in (*module.named_parameters(), *module.named_buffers())
    ]
    parts = [
        (name, part.training, len(part._forward_hooks), len(part._forward_pre_hooks), len(part._backward_hooks))
        for name, part in module.named_modules()
    ]
    return [weights, parts, sorted(vars(module))]
