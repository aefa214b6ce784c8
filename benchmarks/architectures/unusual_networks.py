"""Small networks with parts that few others have: each a function that makes one with random weights."""

from collections.abc import Callable

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations


class Fourier(nn.Module):
    """Filters the frequencies of its maps by complex weights."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 8, 3, 2, 1), nn.Linear(8, 5)
        self.weight = nn.Parameter(torch.randn(8, 32, 17, 2) / 8)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.stem(x))
        frequencies = torch.fft.rfft2(x, norm="ortho") * torch.view_as_complex(self.weight)
        x = functional.gelu(torch.fft.irfft2(frequencies, s=x.shape[-2:], norm="ortho") + x)
        return self.head(x.mean((2, 3)))


class ChannelsLast(nn.Module):
    """Keeps the channels of its maps last."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, 4).to(memory_format=torch.channels_last)
        self.norm, self.wide, self.narrow, self.head = (
            nn.LayerNorm(8),
            nn.Linear(8, 12),
            nn.Linear(12, 8),
            nn.Linear(8, 5),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x.contiguous(memory_format=torch.channels_last)).permute(0, 2, 3, 1)
        x = x + self.narrow(functional.gelu(self.wide(self.norm(x))))
        return self.head(x.mean((1, 2)))


class Siamese(nn.Module):
    """Compares two cuts of an image by one backbone."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head((self.backbone(x[:, :, :50]) - self.backbone(x[:, :, 10:])).abs())


class DictOfLists(nn.Module):
    """Returns its maps and its scores in a dict of lists."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.head = nn.Conv2d(3, 8, 3, 2), nn.Conv2d(8, 12, 3, 2), nn.Linear(12, 5)

    def forward(self, x: Tensor) -> dict[str, list[Tensor]]:
        first = functional.relu(self.one(x))
        second = functional.relu(self.two(first))
        return {"maps": [first, second], "scores": [self.head(second.mean((2, 3)))]}


class Folded(nn.Module):
    """Cuts the image into patches with `Unfold`, and puts its maps together again with `Fold`."""

    def __init__(self) -> None:
        super().__init__()
        self.unfold, self.fold = nn.Unfold(8, stride=8), nn.Fold((32, 32), 4, stride=4)
        self.patches, self.conv, self.head = nn.Linear(192, 48), nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.patches(self.unfold(x).transpose(1, 2)))
        x = functional.relu(self.conv(self.fold(x.transpose(1, 2))))
        return self.head(x.mean((2, 3)))


class Turned(nn.Module):
    """Turns the image, mirrors a map and exchanges its rows and columns."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = nn.Conv2d(3, 8, 3, 2), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 3)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.one(x.rot90(1, (2, 3))))
        x = functional.relu(self.two(x.flip(3)))
        return self.head(functional.relu(self.three(x.transpose(2, 3))).mean((2, 3)))


class Deformable(nn.Module):
    """Reads its maps at positions that it computes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.offsets = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 18, 3, padding=1)
        self.deformable, self.head = torchvision.ops.DeformConv2d(8, 12, 3, padding=1), nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.stem(x))
        x = functional.relu(self.deformable(x, 3 * self.offsets(x)))
        return self.head(x.mean((2, 3)))


class Functional(nn.Module):
    """Has weights and no modules."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.linear = nn.Parameter(torch.randn(8, 3, 3, 3) / 5), nn.Parameter(torch.randn(5, 8))

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(functional.conv2d(x, self.conv, stride=2))
        return functional.linear(x.mean((2, 3)), self.linear)


class Normalised(nn.Module):
    """Normalises, exchanges red and blue and resizes inside the network."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.4, 0.5, 0.6])[:, None, None])
        self.inner = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = functional.interpolate(x, (48, 48), mode="bilinear", antialias=True)
        return self.inner((x[:, [2, 1, 0]] - self.mean) / 0.25)


class Recurrent(nn.Module):
    """Reads the patches of an image one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.memory = nn.Conv2d(3, 12, 8, 8), nn.LSTM(12, 16, batch_first=True, bidirectional=True)
        self.project, self.head = nn.Linear(32, 12), nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = functional.relu(self.project(self.memory(x)[0]))
        return self.head(x[:, -1])


class TokenLast(nn.Module):
    """Has its class token after the others."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.token = nn.Conv2d(3, 16, 16, 16), nn.Parameter(torch.randn(1, 1, 16))
        self.attention, self.head = nn.MultiheadAttention(16, 2, batch_first=True), nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        n = len(x)
        x = torch.cat([self.patches(x).flatten(2).mT, self.token.expand(n, -1, -1)], 1)
        x = x + self.attention(x, x, x, need_weights=False)[0]
        return self.head(x[:, -1])


class Volume(nn.Module):
    """Takes the channels of an image for its depth."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv3d(1, 8, (2, 3, 3), padding=(0, 1, 1)), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(functional.relu(self.conv(x[:, None])).mean((2, 3, 4)))


class BatchLast(nn.Module):
    """Puts the batch last and works sequence first."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 8, 8)
        self.layer = nn.TransformerEncoderLayer(16, 2, 32)
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).permute(2, 0, 1)
        return self.head(self.layer(x).mean(0))


class Sparse(nn.Module):
    """Runs one expert for images that are brighter above, another one for the others."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2)
        self.experts = nn.ModuleList(nn.Linear(8, 5) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        chosen = (x[:, :, :32].mean((1, 2, 3)) > x[:, :, 32:].mean((1, 2, 3))).long()
        x = functional.relu(self.stem(x)).mean((2, 3))
        out = x.new_zeros(len(x), 5)
        for number, expert in enumerate(self.experts):
            mine = (chosen == number).nonzero().flatten()
            if len(mine):
                out[mine] = expert(x[mine])
        return out


class Transformed(nn.Module):
    """Turns the image by angles that it computes (Jaderberg et al., 2015, arXiv 1506.02025)."""

    def __init__(self) -> None:
        super().__init__()
        self.locate, self.inner = plain(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 6)), plain()
        with torch.no_grad():
            self.locate[-1].weight.mul_(0.1)
            self.locate[-1].bias.copy_(torch.tensor([1.0, 0, 0, 0, 1, 0]))

    def forward(self, x: Tensor) -> Tensor:
        grid = functional.affine_grid(self.locate(x).view(-1, 2, 3), list(x.shape), align_corners=False)
        return self.inner(functional.grid_sample(x, grid, align_corners=False))


class Complex(nn.Module):
    """Has a convolution of complex numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, 2, dtype=torch.complex64)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.conv(x.to(torch.complex64)).abs().mean((2, 3)))


def plain(*last: nn.Module) -> nn.Sequential:
    body = (nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 12, 3, 2, 1), nn.ReLU())
    return nn.Sequential(*body, *(last or (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 5))))


def pixel_shuffle() -> nn.Module:
    end = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))
    return nn.Sequential(
        nn.PixelUnshuffle(4),
        nn.Conv2d(48, 32, 3, padding=1),
        nn.PixelShuffle(2),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3),
        nn.ReLU(),
        *end,
    )


def spectral() -> nn.Module:
    module = plain()
    module[0] = parametrizations.spectral_norm(module[0])
    module[2] = nn.utils.spectral_norm(module[2])
    return module


def discriminator() -> nn.Module:
    norm = nn.utils.spectral_norm
    parts = [norm(nn.Conv2d(3, 8, 4, 2, 1)), nn.LeakyReLU(0.2, inplace=True)]
    parts += [norm(nn.Conv2d(8, 16, 4, 2, 1)), nn.InstanceNorm2d(16, affine=True), nn.LeakyReLU(0.2, inplace=True)]
    return nn.Sequential(*parts, nn.Conv2d(16, 1, 4, 1, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Sigmoid())


def batch_statistics() -> nn.Module:
    module = plain()
    module[1] = nn.Sequential(nn.BatchNorm2d(8, track_running_stats=False), nn.ReLU())
    return module


def circular() -> nn.Module:
    module = plain()
    module[0] = nn.Conv2d(3, 8, 3, padding=1, padding_mode="circular")
    module[2] = nn.Conv2d(8, 12, 3, padding=2, dilation=2, padding_mode="reflect")
    return module


def odd_pooling() -> nn.Module:
    end = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 5))
    return plain(nn.LPPool2d(2, 2), *end)


UNUSUAL: dict[str, Callable[[], nn.Module]] = {
    "complex frequencies": Fourier, "complex convolution": Complex, "channels last": ChannelsLast, "Siamese": Siamese,
    "dict of lists": DictOfLists, "fold and unfold": Folded, "deformable": Deformable, "functional": Functional,
    "normalises inside": Normalised, "LSTM over patches": Recurrent, "3-D convolution": Volume, "turned": Turned,
    "sequence first": BatchLast, "sparse experts": Sparse, "spectral norm": spectral, "pixel shuffle": pixel_shuffle,
    "discriminator": discriminator, "odd pooling": odd_pooling, "3-D input": lambda: nn.Conv3d(1, 8, 3),
    "compiled": lambda: torch.compile(plain(), backend="eager"), "data parallel": lambda: nn.DataParallel(plain()),
    "batch statistics": batch_statistics, "circular padding": circular, "spatial transformer": Transformed,
}  # fmt: skip
