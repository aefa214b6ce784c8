"""Small networks, the programs that are made of them, and the values of their layers."""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

SHAPE = (3, 16, 16)


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.norm = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.relu, self.conv2 = nn.ReLU(inplace=True), nn.Conv2d(width, width, 3, padding=1, groups=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(x + self.conv2(self.relu(self.norm(self.conv1(x)))))


class Small(nn.Module):
    """Convolutions, a normalisation, a residual block, a layer that is called twice, and dropout."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(channels, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU6())
        self.block, self.pool, self.again = Block(8), nn.MaxPool2d(2), nn.Conv2d(8, 8, 1)
        self.drop, self.head = nn.Dropout(0.4), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.again(functional.relu(self.again(self.pool(self.block(self.stem(x))))))
        return self.head(self.drop(x.mean((2, 3))))


class Branching(nn.Module):
    """A network whose code decides and repeats."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)
        self.parts = nn.ModuleList([nn.Conv2d(4, 4, 1) for _ in range(2)])

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = self.conv(x)
        for part in self.parts:
            x = functional.relu(part(x))
        for turn in range(3):
            x = x + turn if x.shape[2] > 4 else x - turn
        values = [x.mean((2, 3))]
        if self.training:
            values.append(x.amax((2, 3)))
        return {"features": values[0], "logits": self.head(torch.stack(values).sum(0))}


class Fixed(nn.Module):
    """A network whose batch size is a number once it is traced or exported."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 4, 4), nn.Linear(4, 2)
        self.token = nn.Parameter(torch.ones(1, 1, 4))

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.conv(x).flatten(2).transpose(1, 2)
        return self.head(torch.cat([self.token.expand(len(x), -1, -1), tokens], 1).mean(1))


def made(kind: type[nn.Module], *args: object) -> nn.Module:
    """A network with weights that are the same each time, and statistics that are not those of a new one."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        net = kind(*args)
        for name, buffer in net.named_buffers():
            if "running" in name:
                buffer.copy_(torch.rand_like(buffer) + 0.5)
    return net.eval()


def images(count: int = 2, shape: tuple[int, int, int] = SHAPE) -> Tensor:
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(3))


def scripted(net: nn.Module) -> torch.jit.ScriptModule:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.script(net)


def traced(
    net: Callable[[Tensor], object], count: int = 1, shape: tuple[int, int, int] = SHAPE
) -> torch.jit.ScriptModule:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.trace(net, images(count, shape), check_trace=False, strict=False)


def exported(
    net: nn.Module, count: int = 2, shape: tuple[int, int, int] = SHAPE, *, free: bool = True
) -> torch.export.ExportedProgram:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sizes = {"dynamic_shapes": ({0: torch.export.Dim("batch")},)} if free else {}
        return torch.export.export(net, (images(count, shape),), **sizes)


def values_of(net: nn.Module, x: Tensor) -> list[tuple[str, Tensor]]:
    """Name and output of each call of each module that gives a tensor, in order."""
    seen: list[tuple[str, Tensor]] = []

    def see(name):
        def keep(_part, _given, output):
            first = output[0] if isinstance(output, tuple) else output  # attention returns (values, None)
            if torch.is_tensor(first):
                seen.append((name, first.clone()))

        return keep

    hooks = [part.register_forward_hook(see(name)) for name, part in net.named_modules() if name]
    with torch.no_grad():
        net(x)
    for hook in hooks:
        hook.remove()
    return seen


def assert_same_values(net: nn.Module, other: nn.Module, x: Tensor, *, exact: bool = True) -> None:
    """Each module gives in both networks the same, in the same order."""
    mine, theirs = values_of(net, x), values_of(other, x)
    names = {name for name, _ in theirs}
    mine = [(name, value) for name, value in mine if name in names]
    assert [name for name, _ in mine] == [name for name, _ in theirs]
    assert len(names) > 3
    for (name, one), (_, two) in zip(mine, theirs, strict=True):
        tolerance = {"rtol": 0.0, "atol": 0.0} if exact else {"rtol": 1e-5, "atol": 1e-6}
        torch.testing.assert_close(one, two, **tolerance, msg=lambda text, name=name: f"{name}: {text}")


def frozen(net: nn.Module) -> torch.jit.ScriptModule:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.freeze(torch.jit.script(net))
