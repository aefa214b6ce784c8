"""The networks of `python -m benchmarks.architectures`: each a function that makes one with random weights."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import detection, segmentation

from benchmarks.architectures.unusual_networks import UNUSUAL, TokenLast
from lurk.graph.receptive.rules import words

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Sample:
    """A network of the matrix.

    Args:
        make: Makes it.
        shape: (c, h, w) of the input for the checks.
        own: (c, h, w) of its own input, for the time that planning takes.
        first: Names of the tokens before those of positions.
        last: Names of the tokens after them.
        since: The first part of the network in which those tokens are; by default they are there from the start.
    """

    make: Callable[[], nn.Module]
    shape: Shape = (3, 64, 64)
    own: Shape | None = None
    first: tuple[str, ...] = ()
    last: tuple[str, ...] = ()
    since: str = ""


class UNet(nn.Module):
    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.down1, self.down2 = block(channels, 8), block(8, 16)
        self.up, self.up1, self.out = nn.ConvTranspose2d(16, 8, 2, 2), block(16, 8), nn.Conv2d(8, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = self.down1(x)
        second = self.down2(functional.max_pool2d(first, 2))
        return self.out(self.up1(torch.cat([first, self.up(second)], 1)))


def block(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(inplace=True))


def small(channels: int = 3) -> nn.Sequential:
    return nn.Sequential(
        block(channels, 8), nn.MaxPool2d(2), block(8, 16), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5)
    )


class Tokens(nn.Module):
    """A small vision transformer with any number of extra tokens."""

    def __init__(self, extra: int, width: int = 24) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 8, 8)
        self.extra = nn.Parameter(torch.randn(1, extra, width))
        layer = partial(nn.TransformerEncoderLayer, width, 4, 48, batch_first=True, activation="gelu")
        self.blocks = nn.Sequential(layer(), layer())
        self.head = nn.Linear(width, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = self.blocks(torch.cat([self.extra.expand(len(x), -1, -1), x], 1))
        return self.head(x[:, 0] if self.extra.shape[1] else x.mean(1))


class NoGrad(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = small()

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)


class Untraceable(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = small()

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x if float(x.sum()) > -1e9 else -x)


class Reused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.conv, self.relu = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.first(x))
        x = self.relu(self.conv(self.relu(self.conv(x))))
        return self.head(x.mean((2, 3)))


def weight_norm() -> nn.Module:
    module = small()
    module[0][0] = torch.nn.utils.weight_norm(module[0][0])
    module[2][0] = torch.nn.utils.parametrizations.weight_norm(module[2][0])
    return module


def lazy() -> nn.Module:
    return nn.Sequential(nn.LazyConv2d(8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(5))


def scripted() -> nn.Module:
    return torch.jit.script(small().eval())


def traced() -> nn.Module:
    return torch.jit.trace(small().eval(), torch.zeros(1, 3, 64, 64))


def exported() -> nn.Module:
    return torch.export.export(small().eval(), (torch.zeros(2, 3, 64, 64),)).module()


def named(name: str, **options: object) -> nn.Module:
    return torchvision.models.get_model(name, weights=None, **options)


def without_weights(make: Callable[..., nn.Module], **options: object) -> nn.Module:
    return make(weights=None, weights_backbone=None, **options)


def from_timm(name: str) -> nn.Module:
    import timm

    return timm.create_model(name, pretrained=False)


CLASS, REGISTERS = ("class",), ("register1", "register2", "register3", "register4")
SMALL, WHOLE, OWN = (3, 64, 64), (3, 224, 224), (3, 224, 224)
TORCHVISION = words(
    "resnet18 resnet50 wide_resnet50_2 resnext50_32x4d densenet121 mobilenet_v2 mobilenet_v3_small mnasnet0_5 "
    "shufflenet_v2_x0_5 squeezenet1_1 regnet_x_400mf regnet_y_400mf efficientnet_b0 efficientnet_v2_s convnext_tiny "
    "vgg11 vgg11_bn swin_t swin_v2_t"
)
TIMM = {
    "resnet10t": 64, "resnet26d": 64, "convnext_atto": 64, "convnextv2_atto": 64, "tf_efficientnet_b0": 64,
    "mobilenetv4_conv_small": 64, "ghostnet_050": 64, "repvgg_a0": 64, "nfnet_l0": 64, "regnetz_b16": 64,
    "hrnet_w18_small": 64, "poolformer_s12": 64, "edgenext_xx_small": 64, "mobilevit_xxs": 64, "res2net50_14w_8s": 64,
    "efficientvit_b0": 64, "mixer_s32_224": 224, "resmlp_12_224": 224,
}  # fmt: skip

NETWORKS: dict[str, Sample] = {
    **{name: Sample(partial(named, name), SMALL, OWN) for name in sorted(TORCHVISION)},
    "alexnet": Sample(partial(named, "alexnet"), (3, 96, 96), OWN),
    "googlenet": Sample(partial(named, "googlenet", aux_logits=False, init_weights=False), (3, 96, 96), OWN),
    "inception_v3": Sample(
        partial(named, "inception_v3", aux_logits=False, init_weights=False), (3, 96, 96), (3, 299, 299)
    ),
    "vit_b_16": Sample(partial(named, "vit_b_16", image_size=64), SMALL, SMALL, CLASS),
    "maxvit_t": Sample(partial(named, "maxvit_t"), WHOLE, OWN),
    "tokens, none extra": Sample(partial(Tokens, 0)),
    "tokens, one extra": Sample(partial(Tokens, 1), first=CLASS),
    "tokens, two extra": Sample(partial(Tokens, 2), first=("class", "register1")),
    "tokens, five extra": Sample(partial(Tokens, 5), first=(*CLASS, *REGISTERS)),
    **{f"timm {name}": Sample(partial(from_timm, name), (3, side, side), OWN) for name, side in TIMM.items()},
    "timm xcit_nano_12_p16_224": Sample(
        partial(from_timm, "xcit_nano_12_p16_224"), WHOLE, OWN, CLASS, since="cls_attn_blocks"
    ),
    "timm pit_ti_224": Sample(partial(from_timm, "pit_ti_224"), WHOLE, OWN, CLASS),
    "timm deit_tiny_distilled_patch16_224": Sample(
        partial(from_timm, "deit_tiny_distilled_patch16_224"), WHOLE, OWN, ("class", "distillation")
    ),
    "timm vit_betwixt_patch16_reg4_gap_256": Sample(
        partial(from_timm, "vit_betwixt_patch16_reg4_gap_256"), (3, 256, 256), (3, 256, 256), REGISTERS
    ),
    "fcn_resnet50": Sample(partial(without_weights, segmentation.fcn_resnet50), SMALL, WHOLE),
    "deeplabv3_mobilenet_v3_large": Sample(
        partial(without_weights, segmentation.deeplabv3_mobilenet_v3_large), SMALL, WHOLE
    ),
    "lraspp_mobilenet_v3_large": Sample(partial(without_weights, segmentation.lraspp_mobilenet_v3_large), SMALL, WHOLE),
    "fasterrcnn_mobilenet_v3_large_320_fpn": Sample(
        partial(without_weights, detection.fasterrcnn_mobilenet_v3_large_320_fpn, min_size=96, max_size=96),
        SMALL,
        (3, 320, 320),
    ),
    "ssdlite320_mobilenet_v3_large": Sample(
        partial(without_weights, detection.ssdlite320_mobilenet_v3_large), SMALL, (3, 320, 320)
    ),
    "retinanet_resnet50_fpn": Sample(
        partial(without_weights, detection.retinanet_resnet50_fpn, min_size=96, max_size=96), SMALL, (3, 96, 96)
    ),
    "U-Net": Sample(partial(UNet, 3, 4)),
    **{f"{count} channels": Sample(partial(small, count), (count, 40, 56)) for count in (1, 2, 4, 6)},
    "half precision": Sample(lambda: small().half()),
    "bfloat16": Sample(lambda: small().bfloat16()),
    "double precision": Sample(lambda: small().double()),
    "no_grad": Sample(NoGrad),
    "untraceable": Sample(Untraceable),
    "reused modules": Sample(Reused),
    "weight norm": Sample(weight_norm),
    "lazy": Sample(lazy),
    "TorchScript": Sample(scripted),
    "TorchScript, traced": Sample(traced),
    "exported": Sample(exported),
    **{name: Sample(make) for name, make in UNUSUAL.items()},
    "token last": Sample(TokenLast, last=CLASS),
}
