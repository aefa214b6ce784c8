from collections.abc import Iterator
from functools import cache

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional

from lurk.graph.hooks import tapped
from lurk.graph.layers import find_layers
from lurk.graph.plan import Plan
from lurk.graph.receptive.coordinates import core, reshaped
from lurk.records import LayerInfo

Box = tuple[int, int, int, int]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


PUBLISHED = [
    ("vgg16", "features.2", 5, 1),
    ("vgg16", "features.7", 14, 2),
    ("vgg16", "features.14", 40, 4),
    ("vgg16", "features.21", 92, 8),
    ("vgg16", "features.28", 196, 16),
    ("resnet18", "conv1", 7, 2),
    ("resnet18", "layer1.1.conv2", 43, 4),
    ("resnet18", "layer2.1.conv2", 99, 8),
    ("resnet18", "layer3.1.conv2", 211, 16),
    ("resnet18", "layer4.1.conv2", 435, 32),
    ("alexnet", "features.10", 163, 16),
]


def make(name: str) -> nn.Module:
    if name == "efficientnet_lite0":
        package = pytest.importorskip("efficientnet_lite_pytorch")
        return package.EfficientNet.from_name("efficientnet-lite0").eval()
    options = {"init_weights": False} if name.startswith("vgg") else {}
    return torchvision.models.get_model(name, weights=None, **options).eval()


@cache
def sizes(name: str) -> dict[str, LayerInfo]:
    return {layer.name: layer for layer in find_layers(make(name), (3, 64, 96)).layers}


def open_up(module: nn.Module) -> nn.Module:
    """Make every weight positive and every pooling an average: then all that can change a value has a gradient."""
    generator = torch.Generator().manual_seed(3)
    for name, part in list(module.named_modules()):
        if isinstance(part, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            fan = part.weight[0].numel()
            part.weight.data = (torch.rand(part.weight.shape, generator=generator) + 0.5) / fan
            if part.bias is not None:
                part.bias.data.zero_()
        if isinstance(part, nn.MaxPool2d):
            owner = module.get_submodule(name.rpartition(".")[0])
            pool = nn.AvgPool2d(part.kernel_size, part.stride, part.padding, part.ceil_mode)
            setattr(owner, name.rpartition(".")[2], pool)
    return module.double().eval()


def clipped(box: Box, height: int, width: int) -> Box:
    return (max(box[0], 0), max(box[1], 0), min(box[2], height), min(box[3], width))


def support(gradient: Tensor) -> Box:
    rows = gradient.abs().sum((0, 1, 3)).nonzero().flatten()
    cols = gradient.abs().sum((0, 1, 2)).nonzero().flatten()
    return (int(rows[0]), int(cols[0]), int(rows[-1]) + 1, int(cols[-1]) + 1)


def agree(box: Box, seen: Box, height: int, width: int) -> bool:
    """Whether a box is the bounding box of a gradient, up to border pixels that no window of an inner map reaches."""
    reached = [box[0] == seen[0], box[1] == seen[1], box[2] == seen[2], box[3] == seen[3]]
    border = [box[0] == 0, box[1] == 0, box[2] == height, box[3] == width]
    return holds(box, seen) and all(r or b for r, b in zip(reached, border, strict=True))


def holds(box: Box, seen: Box) -> bool:
    return box[0] <= seen[0] and box[1] <= seen[1] and box[2] >= seen[2] and box[3] >= seen[3]


def supports(made: Plan, positions: int = 2) -> list[tuple[str, Box, Box]]:
    """(layer, box, bounding box of the gradient) at some positions of every layer, in the image."""
    _, height, width = made.input_shape
    image = torch.rand(1, *made.input_shape, dtype=torch.float64).mul_(1e-3).requires_grad_()  # below ReLU6's bound
    seen: dict[int, Tensor] = {}
    with tapped(made, lambda at, value: seen.__setitem__(at, value.clone())) as forward:
        forward(image)
    found = []
    for at, layer in enumerate(made.layers):
        for i in range(positions):
            row, col = (layer.grid[0] // 2, layer.grid[1] - 1) if i else (0, layer.grid[1] // 3)
            target = seen[at][0, :, row, col].sum()
            (gradient,) = torch.autograd.grad(target, image, retain_graph=True)
            if not gradient.any():
                continue
            found.append((layer.name, clipped(layer.box(row, col, (height, width)), height, width), support(gradient)))
    return found


@pytest.mark.parametrize(("model", "layer", "size", "jump"), PUBLISHED)
def test_sizes_and_jumps_are_the_published_ones(model: str, layer: str, size: int, jump: int) -> None:
    found = sizes(model)[layer]
    assert found.receptive_field == (size, size)
    assert found.jump == (jump, jump)


NETWORKS = ["alexnet", "vgg11", "resnet18", "squeezenet1_1", "mobilenet_v2", "shufflenet_v2_x1_0"]
BUNDLED = pytest.param("efficientnet_lite0", marks=pytest.mark.slow)  # at its full size


@pytest.mark.parametrize("name", [*NETWORKS, BUNDLED])
def test_box_is_the_bounding_box_of_the_gradient(name: str) -> None:
    shape = (3, 224, 224) if name == "efficientnet_lite0" else (3, 96, 128)
    module = make(name)
    made = find_layers(open_up(module.features if name == "vgg11" else module), shape)
    convolutions = [layer for layer in made.layers if "Conv2d" in layer.kind]
    assert len(convolutions) >= 5
    assert all(layer.receptive_field is not None for layer in convolutions)
    for layer, box, seen in supports(made, positions=1):
        assert agree(box, seen, *shape[1:]), layer


@pytest.mark.parametrize("name", [pytest.param("densenet121", marks=pytest.mark.slow), "resnet18", "googlenet"])
def test_gradient_lies_inside_the_box_with_ordinary_weights(name: str) -> None:
    options = {"init_weights": False, "aux_logits": False, "transform_input": True} if name == "googlenet" else {}
    module = torchvision.models.get_model(name, weights=None, **options).double().eval()
    made = find_layers(module, (3, 80, 112), r"conv")
    for layer, box, seen in supports(made, positions=1):
        assert holds(box, seen), layer


class Copied(nn.Module):
    """Copies into a slice of a fresh tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 2, 1)

    def forward(self, image: Tensor) -> Tensor:
        hidden = self.first(image)
        shifted = torch.zeros_like(hidden)
        shifted[:, :, 1:].copy_(hidden[:, :, :-1])
        return self.last(shifted)


class Averaged(nn.Module):
    """Pools cells of 2 × 3 pixels with a view and a mean."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Conv2d(3, 2, 3)

    def forward(self, image: Tensor) -> Tensor:
        n, c, h, w = image.shape
        return self.last(image.view(n, c, h // 2, 2, w // 3, 3).mean((3, 5)))


def exact_stacks() -> dict[str, nn.Module]:
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wide = nn.Conv2d(3, 4, 5, padding=2, stride=2)
            self.narrow = nn.Conv2d(3, 4, 1, stride=2)
            self.last = nn.Conv2d(8, 2, (1, 3))

        def forward(self, image: Tensor) -> Tensor:
            both = torch.cat([self.wide(image), self.narrow(image)], 1)
            return self.last(both + functional.pad(both, (1, 0, 0, 0))[..., :-1])

    class Focus(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(12, 4, 3, padding=1)

        def forward(self, image: Tensor) -> Tensor:
            corners = [image[..., i::2, j::2] for i in (0, 1) for j in (0, 1)]
            return self.conv(torch.cat(corners, 1))

    class Folded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(12, 4, 3, padding=1)

        def forward(self, image: Tensor) -> Tensor:
            n, c, h, w = image.shape
            cells = image.view(n, c, h // 2, 2, w // 2, 2).permute(0, 1, 3, 5, 2, 4)
            return self.conv(cells.reshape(n, c * 4, h // 2, w // 2))

    return {
        "dilation": nn.Sequential(nn.Conv2d(3, 4, 3, dilation=3, padding=2), nn.Conv2d(4, 2, 3, stride=2)),
        "uneven padding": nn.Sequential(nn.ZeroPad2d((1, 2, 3, 0)), nn.Conv2d(3, 4, (3, 5), stride=(2, 1))),
        "cropping": nn.Sequential(nn.ZeroPad2d((-2, -1, -3, 0)), nn.Conv2d(3, 4, 3)),
        "ceil": nn.Sequential(nn.Conv2d(3, 4, 3), nn.AvgPool2d(3, 2, ceil_mode=True), nn.Conv2d(4, 4, 3)),
        "adaptive": nn.Sequential(nn.AdaptiveAvgPool2d((6, 12)), nn.Conv2d(3, 4, 3)),
        "reflected": nn.Sequential(nn.Conv2d(3, 4, 5, padding=2, padding_mode="reflect"), nn.Conv2d(4, 4, 1)),
        "unshuffled": nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(12, 4, 3)),
        "flattened and back": nn.Sequential(nn.Flatten(2), nn.Unflatten(2, (24, 36)), nn.Conv2d(3, 4, 3)),
        "a slice copied in place": Copied(),
        "averaged by hand": Averaged(),
        "branches": Branches(),
        "focus": Focus(),
        "folded": Folded(),
    }


@pytest.mark.parametrize("name", list(exact_stacks()))
def test_box_is_exact_for(name: str) -> None:
    made = find_layers(open_up(exact_stacks()[name]), (3, 24, 36))
    assert made.layers[0].tap == "post"
    for layer, box, seen in supports(made):
        assert agree(box, seen, 24, 36), layer


FRACTIONAL = {
    "transposed": nn.Sequential(nn.Conv2d(3, 4, 3), nn.ConvTranspose2d(4, 4, 4, 2, 1), nn.Conv2d(4, 2, 3)),
    "nearest": nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.Upsample(scale_factor=2), nn.Conv2d(4, 2, 3)),
    "bilinear": nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.Upsample((17, 29), mode="bilinear"), nn.Conv2d(4, 2, 3)),
    "corners": nn.Sequential(nn.Upsample((31, 47), mode="bilinear", align_corners=True), nn.Conv2d(3, 2, 3)),
    "bicubic": nn.Sequential(nn.Upsample(scale_factor=1.5, mode="bicubic"), nn.Conv2d(3, 2, 3)),
    "shuffled": nn.Sequential(nn.Conv2d(3, 8, 3), nn.PixelShuffle(2), nn.Conv2d(2, 2, 3)),
    "mirrored wide": nn.Sequential(nn.ReflectionPad2d(4), nn.Conv2d(3, 2, 3)),
    "repeated": nn.Sequential(nn.ReplicationPad2d((3, 0, 2, 5)), nn.Conv2d(3, 2, 1)),
}


@pytest.mark.parametrize("name", list(FRACTIONAL))
def test_box_holds_the_gradient_for(name: str) -> None:
    made = find_layers(open_up(FRACTIONAL[name]), (3, 24, 36))
    for layer, box, seen in supports(made, positions=2):
        assert made.layers[0].receptive_field is not None
        assert holds(box, seen), layer
        assert (box[2] - box[0]) - (seen[2] - seen[0]) <= 14, layer


class Scaled(nn.Module):
    """Squeeze and excitation between two convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.gate, self.last = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 2, 3)

    def forward(self, image: Tensor) -> Tensor:
        hidden = self.first(image)
        return self.last(hidden * torch.sigmoid(self.gate(functional.adaptive_avg_pool2d(hidden, 1))))


class Attending(nn.Module):
    """Attention between two convolutions, its tokens laid out as a map again."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.attention = nn.Conv2d(3, 4, 3, padding=1), nn.MultiheadAttention(4, 2, batch_first=True)
        self.last = nn.Conv2d(4, 2, 1)

    def forward(self, image: Tensor) -> Tensor:
        hidden = self.first(image)
        tokens = hidden.flatten(2).transpose(1, 2)
        return self.last(self.attention(tokens, tokens, tokens)[0].transpose(1, 2).reshape(hidden.shape))


class Cut(nn.Module):
    """Reads the pixels in rows of another length."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Conv2d(3, 2, 1)

    def forward(self, image: Tensor) -> Tensor:
        return self.last(image.view(-1, 3, 16, 54))


class Rolled(Cut):
    """Moves the rows around."""

    def forward(self, image: Tensor) -> Tensor:
        return self.last(image.roll(5, 2))


class Mirrored(Cut):
    """Adds the image and its mirror image."""

    def forward(self, image: Tensor) -> Tensor:
        return self.last(image + image.flip(3))


class Summed(nn.Module):
    """Adds up the rows."""

    def forward(self, image: Tensor) -> Tensor:
        return image.cumsum(2)


class Written(nn.Module):
    """Writes into a slice of a fresh tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 2, 1)

    def forward(self, image: Tensor) -> Tensor:
        hidden = self.first(image)
        shifted = torch.zeros_like(hidden)
        shifted[:, :, 1:] = hidden[:, :, :-1]
        return self.last(shifted)


GLOBAL = {
    "squeeze and excitation": (Scaled(), "last"),
    "group norm": (nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4)), "0"),
    "instance norm": (nn.Sequential(nn.InstanceNorm2d(3), nn.Conv2d(3, 4, 3)), "1"),
    "flatten": (nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 22 * 34, 5)), "2"),
    "global pooling": (nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(3, 4, 1)), "1"),
    "circular padding": (nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular"), ""),
    "a slice written in place": (Written(), "last"),
    "attention": (Attending(), "last"),
    "rolled and filtered": (nn.Sequential(Rolled(), nn.Conv2d(2, 2, 3)), "1"),
    "summed up": (nn.Sequential(Summed(), nn.Conv2d(3, 4, 3)), "1"),
    "mixed with its mirror image": (Mirrored(), "last"),
}


@pytest.mark.parametrize("name", ["a view across an uneven cut", "rolled", "unfolded"])
def test_box_is_exact_where_pixels_are_put_into_another_order(name: str) -> None:
    unfolded = nn.Sequential(nn.Unfold((4, 3), stride=(4, 3)), nn.Conv1d(36, 2, 1))
    module = {"a view across an uneven cut": Cut(), "rolled": Rolled(), "unfolded": unfolded}[name]
    for layer, box, seen in supports(find_layers(open_up(module), (3, 24, 36))):
        assert agree(box, seen, 24, 36), layer


@pytest.mark.parametrize("name", list(GLOBAL))
def test_field_is_global_after(name: str) -> None:
    module, layer = GLOBAL[name]
    made = find_layers(nn.Sequential(module) if layer == "" else module, (3, 24, 36))
    found = next(info for info in made.layers if info.name == (layer or "0"))
    assert found.receptive_field is None
    assert found.jump is None
    assert found.box(1, 2, (24, 36)) == (0, 0, 24, 36)


def field_of(module: nn.Module, shape: tuple[int, int, int] = (3, 20, 20)) -> LayerInfo:
    return find_layers(module, shape).layers[-1]


def test_convolutions_compose_by_hand() -> None:
    rows = [nn.Conv2d(3, 3, (3, 1), (stride, 1), (1, 0)) for stride in (2, 1)]
    found = field_of(nn.Sequential(*rows))
    assert (found.receptive_field, found.jump, found.offset) == ((7, 1), (2, 1), (-3, 0))


def test_a_sum_with_a_shifted_branch_holds_both() -> None:
    class Shifted(nn.Sequential):
        def forward(self, image: Tensor) -> Tensor:
            return self[0](image + functional.pad(image, (2, 0, 0, 0))[..., :-2])

    found = field_of(Shifted(nn.Conv2d(3, 2, 1)))
    assert (found.receptive_field, found.offset) == ((1, 3), (0, -2))


def test_a_sum_of_two_strides_holds_both() -> None:
    class Strides(nn.Sequential):
        def forward(self, image: Tensor) -> Tensor:
            return self[0](image[..., :10] + image[..., ::2])

    made = find_layers(open_up(Strides(nn.Conv2d(3, 2, 1))), (3, 20, 20))
    for layer, box, seen in supports(made):
        assert holds(box, seen), layer


def test_a_map_of_one_position_keeps_its_field_and_its_jump() -> None:
    stack = nn.Sequential(nn.Conv2d(3, 4, 5, 2), nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, 2, 1))
    found = find_layers(stack, (3, 5, 5)).layers
    assert [layer.grid for layer in found] == [(1, 1)] * 3
    assert [(layer.receptive_field, layer.jump, layer.offset) for layer in found] == [
        ((5, 5), (2, 2), (0, 0)),
        ((9, 9), (2, 2), (-2, -2)),
        ((13, 13), (4, 4), (-4, -4)),
    ]


@pytest.mark.parametrize(("side", "size"), [(224, 435), (32, 435)])
def test_a_field_larger_than_the_image_goes_on_into_the_padding(side: int, size: int) -> None:
    found = find_layers(make("resnet18"), (3, side, side), r"layer4\.1\.conv2").layers[0]
    assert (found.receptive_field, found.jump, found.offset) == ((size, size), (32, 32), (-202 - 15, -202 - 15))


@pytest.mark.parametrize(
    ("order", "shape", "stored"),
    [
        ((0, 1, 2, 3), (6, 8, 15), 90),
        ((0, 2, 3, 1), (6, 15, 8), 90),
        ((0, 2, 3, 1), (6, 15, 2, 4), 90),
        ((0, 3, 2, 1), (90, 4, 2), 90),
        ((0, 3, 2, 1), (6, 5, 1, 3, 8), 90),
        ((0, 2, 1, 3), (6, 24, 5), 720),
        ((0, 2, 1, 3), (2, 3, 3, 40), 720),
    ],
)
def test_reshaping_spreads_out_only_what_it_must(order, shape, stored):
    once = torch.randn(6, 1, 3, 5, generator=torch.Generator().manual_seed(0)).expand(6, 8, 3, 5).permute(order)
    found = reshaped(once, shape)
    assert torch.equal(found, once.contiguous().reshape(shape))
    assert core(found).numel() == stored
