import collections
from collections.abc import Iterator

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import VisionTransformer

from lurk.errors import LayerError, ModelError
from lurk.graph.hooks import tapped
from lurk.graph.layers import find_layers
from lurk.graph.plan import Plan
from lurk.graph.receptive.coordinates import IMAGES as COORDINATES
from tests.graph.test_activation_taps import OneConv, activations

NETWORKS = {
    "alexnet": 8,
    "vgg16": 16,
    "resnet18": 29,
    "resnet50": 70,
    "densenet121": 121,
    "googlenet": 58,
    "inception_v3": 95,
    "mobilenet_v2": 63,
    "mobilenet_v3_small": 60,
    "efficientnet_b0": 91,
    "squeezenet1_1": 26,
    "shufflenet_v2_x1_0": 57,
    "convnext_tiny": 77,
    "regnet_y_400mf": 102,
    "mnasnet1_0": 63,
    "vit_b_16": 98,
    "swin_t": 53,
    "efficientnet_lite0": 59,
}
LARGE = {"vgg16", "resnet50", "densenet121", "inception_v3", "vit_b_16"}  # the others show the same in less time


def make(name: str) -> nn.Module:
    if name == "efficientnet_lite0":
        package = pytest.importorskip("efficientnet_lite_pytorch")
        return package.EfficientNet.from_name("efficientnet-lite0").eval()
    options = {"init_weights": False} if name in ("googlenet", "inception_v3", "vgg16") else {}
    return torchvision.models.get_model(name, weights=None, **options).eval()


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def check(
    module: nn.Module, shape: tuple[int, int, int], expression: str | None = None
) -> tuple[Plan, dict[str, Tensor]]:
    """Plan a module; every layer must give what its info says, and the output must be the module's own."""
    made = find_layers(module.eval(), shape, expression)
    image = torch.randn(3, *shape)
    seen, output = activations(made, image)
    assert list(seen) == [layer.name for layer in made.layers]
    for layer in made.layers:
        assert seen[layer.name].shape == (3, layer.units, *layer.grid), layer
    with torch.no_grad():
        own = module(image)
    if isinstance(own, Tensor):
        torch.testing.assert_close(output, own)
    return made, seen


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in LARGE)) for name in NETWORKS])
def test_every_layer_is_found_in(name: str) -> None:
    module, side = make(name), 299 if name == "inception_v3" else 224
    made = find_layers(module, (3, side, side))
    image = torch.randn(1, 3, side, side)
    seen, output = activations(made, image)
    assert len(made.layers) == NETWORKS[name]
    assert {layer.tap for layer in made.layers} == {"post"}
    called: list[str] = []
    handles = [
        part.register_forward_hook(lambda *_, name=path: called.append(name))
        for path, part in module.named_modules()
        if isinstance(part, (nn.Conv2d, nn.Linear))
    ]
    with torch.no_grad():
        own = module(image)
    for handle in handles:
        handle.remove()
    names = [layer.name for layer in made.layers]
    assert sorted(name for name in names if name in called) == sorted(called)
    torch.testing.assert_close(output, own)  # torch's own attention may take a faster way with other rounding
    for layer in made.layers:
        assert seen[layer.name].shape == (1, layer.units, *layer.grid), layer


def test_default_layers_of_resnet18() -> None:
    names = [layer.name for layer in find_layers(make("resnet18"), (3, 64, 64)).layers]
    assert names[:4] == ["conv1", "layer1.0.conv1", "layer1.0.conv2", "layer1.0"]
    assert names[9:12] == ["layer2.0.downsample.0", "layer2.0", "layer2.1.conv1"]
    assert names[-1] == "fc"
    assert "layer1" not in names
    assert "bn1" not in names


def test_class_token_is_kept_apart() -> None:
    network = VisionTransformer(224, 16, num_layers=4, num_heads=2, hidden_dim=32, mlp_dim=64).eval()
    made = find_layers(network, (3, 224, 224), r"encoder_layer_0\.mlp\.0|encoder_layer_3$")
    names = [layer.name.removeprefix("encoder.layers.") for layer in made.layers]
    assert names == ["encoder_layer_0.mlp.0", "encoder_layer_0.mlp.0:class", "encoder_layer_3", "encoder_layer_3:class"]
    assert [layer.grid for layer in made.layers] == [(14, 14), (1, 1)] * 2
    assert {layer.shape for layer in made.layers} == {(197, 64), (197, 32)}
    raw: list[Tensor] = []
    handle = made.module.encoder.layers.encoder_layer_0.mlp[1].register_forward_hook(lambda *a: raw.append(a[2]))
    image = torch.randn(1, 3, 224, 224)
    seen, _ = activations(made, image)
    handle.remove()
    torch.testing.assert_close(seen[made.layers[1].name][0, :, 0, 0], raw[0][0, 0])
    torch.testing.assert_close(seen[made.layers[0].name][0, :, 2, 5], raw[0][0, 1 + 2 * 14 + 5])


def test_channels_last_is_recognised() -> None:
    made = find_layers(make("swin_t"), (3, 64, 96), r"features\.1\.0\.mlp\.0|features\.2\.reduction")
    assert [layer.units for layer in made.layers] == [384, 192]
    assert [layer.grid for layer in made.layers] == [(16, 24), (8, 12)]
    made = find_layers(make("convnext_tiny"), (3, 64, 96), r"features\.1\.0\.block\.3|features\.0\.0")
    assert [(layer.units, layer.grid) for layer in made.layers] == [(96, (16, 24)), (384, (16, 24))]
    assert made.layers[1].receptive_field == (28, 28)


class Swish(torch.autograd.Function):
    """An activation with its own gradient."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)  # type: ignore[attr-defined]
        return x * torch.sigmoid(x)


class Steered(nn.Module):
    """Steered by shapes, as users write it: asserts, loops over sizes, modules that are no part, stored tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4 * 35, 5)

    def forward(self, image: Tensor, scale: Tensor | None = None) -> dict[str, Tensor]:
        assert isinstance(image, Tensor)
        assert image.dim() == 4
        x = Swish.apply(self.conv(image))
        if scale is not None:
            x = x * scale
        count = 1
        for size in x.size()[1:]:
            count *= size
        if len(x.shape) == 4 and x.shape[1] == 4:
            x = x + torch.arange(x.shape[-1], device=x.device, dtype=x.dtype)
        *_, width = x.shape
        self.width = width
        return {"logits": self.head(x.view(-1, count)), "hidden": x}


def test_code_steered_by_shapes_is_traced() -> None:
    made, seen = check(Steered(), (3, 7, 9))
    assert [layer.tap for layer in made.layers] == ["post", "post"]
    assert made.layers[0].receptive_field == (3, 3)
    assert not hasattr(made.module, "width") or not isinstance(made.module.width, torch.fx.Proxy)
    assert seen["conv"].min() > -0.3


class Tuple(nn.Module):
    """Returns a named tuple in a tuple."""

    pair = collections.namedtuple("Pair", ["first", "second"])

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)

    def forward(self, image: Tensor) -> tuple[Tensor, object]:
        x = self.conv(image).relu()
        return x, self.pair(x.mean(), x.flatten(1))


def test_outputs_may_be_nested() -> None:
    made = find_layers(Tuple(), (1, 6, 8))
    _, output = activations(made, torch.randn(2, 1, 6, 8))
    assert made.layers[0].tap == "post"
    assert isinstance(output, tuple)
    assert output[1].second.shape == (2, 96)


class Baked(nn.Module):
    """Whose graph holds for one batch size only."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, image: Tensor) -> Tensor:
        return self.conv(image) * int(image.shape[0])


class Ragged(nn.Module):
    """Steered by how many values are above 0."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, image: Tensor) -> Tensor:
        x = self.conv(image)
        return x if x[x > 0].numel() > 10 else -x


class Item(Ragged):
    """Steered by a number taken out of a tensor."""

    def forward(self, image: Tensor) -> Tensor:
        x = self.conv(image)
        return x if x.sum().item() > 0 else -x


@pytest.mark.parametrize("module", [Baked(), Ragged(), Item()], ids=["baked", "ragged", "item"])
def test_what_cannot_be_traced_is_raw_and_global(module: nn.Module) -> None:
    made, _ = check(module, (3, 8, 10))
    assert [(layer.tap, layer.receptive_field, layer.grid) for layer in made.layers] == [("raw", None, (6, 8))]


class PreActivated(nn.Module):
    """Norm and activation before the convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.conv = nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(functional.relu(self.norm(x)))


def test_residual_blocks_are_layers_and_their_containers_are_not() -> None:
    module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Sequential(PreActivated(), PreActivated()), nn.Conv2d(4, 2, 1))
    made, _ = check(module, (1, 9, 9))
    assert [layer.name for layer in made.layers] == ["0", "1.0.conv", "1.0", "1.1.conv", "1.1", "2"]


def test_a_sum_with_a_weight_is_no_residual_block() -> None:
    class Shifted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.shift = nn.Conv2d(1, 4, 3), nn.Parameter(torch.zeros(1, 4, 6, 6))

        def forward(self, image: Tensor) -> Tensor:
            return self.conv(image) + self.shift

    made = find_layers(nn.Sequential(Shifted(), nn.ReLU()), (1, 8, 8))
    assert [layer.name for layer in made.layers] == ["0.conv"]


def test_transformer_encoders_are_looked_into() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patch, self.head = nn.Conv2d(3, 16, 4, 4), nn.Linear(16, 5)
            layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
            self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)

        def forward(self, image: Tensor) -> Tensor:
            return self.head(self.encoder(self.patch(image).flatten(2).transpose(1, 2)).mean(1))

    made, seen = check(Tokens(), (3, 16, 24))
    names = [
        "patch",
        "encoder.layers.0.self_attn:heads",
        "encoder.layers.0.linear1",
        "encoder.layers.0.linear2",
        "encoder.layers.0",
        "head",
    ]
    assert [layer.name for layer in made.layers] == names
    assert [layer.grid for layer in made.layers] == [(4, 6)] * 5 + [(1, 1)]
    assert seen["encoder.layers.0.linear1"].min() == 0


def test_mlp_on_the_flattened_image() -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(60, 7), nn.BatchNorm1d(7), nn.ReLU(), nn.Linear(7, 3))
    made, seen = check(module, (1, 6, 10))
    assert [(layer.shape, layer.grid, layer.receptive_field) for layer in made.layers] == [
        ((7,), (1, 1), None),
        ((3,), (1, 1), None),
    ]
    assert seen["1"].min() == 0


def test_images_need_not_be_the_first_axis() -> None:
    class Sequence(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patch, self.mix = nn.Conv2d(3, 8, 2, 2), nn.Linear(8, 16)

        def forward(self, image: Tensor) -> Tensor:
            return self.mix(self.patch(image).flatten(2).permute(2, 0, 1)).mean(0)

    made, _ = check(Sequence(), (3, 8, 12))
    assert made.layers[1].grid == (4, 6)
    assert made.layers[1].receptive_field == (2, 2)


def test_one_by_one_maps() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 8), nn.ReLU(), nn.Conv2d(4, 2, 1), nn.Flatten(), nn.Linear(2, 2))
    made, _ = check(module, (3, 8, 8))
    assert [layer.grid for layer in made.layers] == [(1, 1)] * 3
    assert [layer.receptive_field for layer in made.layers] == [(8, 8), (8, 8), None]


def test_expression_searches_default_layers_and_matches_others_whole() -> None:
    module = make("resnet18")
    named = [layer.name for layer in find_layers(module, (3, 64, 64), r"layer4\.1").layers]
    assert named == ["layer4.1.conv1", "layer4.1.conv2", "layer4.1"]
    named = [layer.name for layer in find_layers(module, (3, 64, 64), r"layer1|maxpool|avgpool").layers]
    assert named == [
        "maxpool",
        *(f"layer1.{i}{s}" for i in (0, 1) for s in (".conv1", ".conv2", "")),
        "layer1",
        "avgpool",
    ]
    named = [layer.name for layer in find_layers(module, (3, 64, 64), r"layer1\.0\.relu").layers]
    assert named == ["layer1.0.relu", "layer1.0.relu:2"]


def test_a_bad_expression_is_told_in_one_line() -> None:
    with pytest.raises(LayerError, match=r"--layers '\(' is no regular expression: .* at character 1"):
        find_layers(OneConv(torch.relu), (3, 8, 8), "(")
    with pytest.raises(LayerError, match="--layers 'nothing' matches no layer; the layers are: conv, head"):
        find_layers(OneConv(torch.relu), (3, 8, 8), "nothing")
    with pytest.raises(LayerError, match="no convolution"):
        find_layers(nn.Sequential(nn.Flatten()), (3, 8, 8))


def test_an_image_that_does_not_fit_is_told_in_one_line() -> None:
    with pytest.raises(ModelError, match="the model fails on an image of 1×8×8: RuntimeError") as caught:
        find_layers(OneConv(torch.relu), (1, 8, 8))
    assert "\n" not in str(caught.value)


def test_a_plan_made_in_inference_mode_is_the_same():
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU6())
    with torch.inference_mode():
        inside = find_layers(module, (3, 8, 8))
    assert inside.layers == find_layers(module, (3, 8, 8)).layers
    assert inside.layers[0].bound == 6.0
    assert inside.taps == find_layers(module, (3, 8, 8)).taps


def test_a_norm_behind_a_permutation_follows_and_the_shape_stays_the_modules_own():
    class Behind(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm, self.fc = nn.Conv2d(3, 4, 3), nn.LayerNorm(4), nn.Linear(4, 2)

        def forward(self, x):
            return self.fc(torch.relu(self.norm(self.conv(x).permute(0, 2, 3, 1))).mean((1, 2)))

    module = Behind().eval()
    with torch.no_grad():
        module.norm.weight.fill_(-1)
    found = find_layers(module, (3, 9, 7))
    assert found.layers[0].shape == (4, 7, 5)
    assert found.layers[0].grid == (7, 5)
    seen = {}
    x = torch.randn(4, 3, 9, 7, generator=torch.Generator().manual_seed(1))
    with torch.no_grad(), tapped(found, lambda at, value: seen.__setitem__(at, value.clone())) as forward:
        forward(x)
        expected = torch.relu(module.norm(module.conv(x).permute(0, 2, 3, 1))).permute(0, 3, 1, 2)
    assert torch.allclose(seen[0], expected, atol=1e-6)


def test_a_layer_whose_images_come_interleaved_is_left_out():
    class TwoViews(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)

        def forward(self, x):
            one, two = torch.relu(self.conv(torch.cat([x, x.flip(3)]))).chunk(2)
            return self.fc((one + two).mean((2, 3)))

    found = find_layers(TwoViews().eval(), (3, 8, 8))
    assert [layer.name for layer in found.layers] == ["fc"]
    assert found.left_out == ("conv",)


def test_a_graph_that_holds_for_one_batch_size_only_is_not_trusted():
    class OneByOne(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)

        def forward(self, x):
            x = self.conv(x)
            return self.fc(torch.cat([x[i : i + 1] for i in range(x.shape[0])]).mean((2, 3)))

    assert [layer.tap for layer in find_layers(OneByOne().eval(), (3, 8, 8)).layers] == ["raw", "raw"]


class Counted(nn.Module):
    """Reads the number of images in one of many ways; a graph with that number in it gives less for more images."""

    def __init__(self, cut):
        super().__init__()
        self.conv, self.cut = nn.Conv2d(3, 4, 3), cut

    def forward(self, x):
        return self.conv(self.cut(x)).mean((2, 3))


@pytest.mark.parametrize(
    "cut",
    [
        lambda x: x[: len(x)],
        lambda x: x[: int(x.shape[0])],
        lambda x: torch.cat([one[None] for one in x]),
        lambda x: x[: x.numel() // int(x[0].numel())],
        lambda x: x[: max(x.size(0), 1)],
        lambda x: x if x.shape[0] < 7 else x * 2,
        lambda x: x.flatten(0, 1)[: int(x.shape[0]) * 3].view(-1, *x.shape[1:]),
    ],
    ids=["len", "int", "loop", "numel", "max", "branch", "product"],
)
def test_a_number_of_images_that_is_read_by_code_is_noticed(cut):
    module = Counted(cut).eval()
    made = find_layers(module, (3, 8, 8))
    images = torch.randn(9, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), tapped(made, lambda _at, value: sizes.append(len(value))) as forward:
        sizes = []
        assert torch.allclose(forward(images), module(images))
    assert sizes == [9]


def images_that_run(module, part, shape):
    """How many images pass a part of a module while its layers are found."""
    seen = []
    handle = part.register_forward_hook(lambda _part, given, _output: seen.append(len(given[0])))
    find_layers(module.eval(), shape)
    handle.remove()
    return sum(seen)


def test_finding_layers_takes_few_forward_passes():
    traced = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 2))
    on_coordinates = COORDINATES
    assert images_that_run(traced, traced[0], (3, 8, 8)) - on_coordinates == 6

    class Detector(nn.Module):
        """Gives as many boxes as it finds, so that the layers of its head fit no batch of another size."""

        def __init__(self):
            super().__init__()
            self.conv, self.heads = nn.Conv2d(3, 4, 3), nn.ModuleList(nn.Linear(4, 2) for _ in range(20))

        def forward(self, x):
            x = self.conv(x)
            found = x.movedim(1, -1)[x.amax(1) > 1]
            return [head(found) for head in self.heads]

    class Untraceable(Detector):
        """Asks for the content of a tensor."""

        def forward(self, x):
            found = super().forward(x)
            return found if float(found[0].sum()) < 1e9 else found[:1]

    for kind, images in ((Detector, 7), (Untraceable, 5)):  # the first again: it may be the order in memory that mixes
        torch.manual_seed(0)
        module = kind()
        assert images_that_run(module, module.conv, (3, 8, 8)) - on_coordinates == images
        plan = find_layers(module, (3, 8, 8))
        assert [layer.name for layer in plan.layers] == ["conv"]
        assert (plan.left_out, plan.random) == (tuple(f"heads.{at}" for at in range(20)), "")


def test_a_network_without_modules_is_told_what_it_lacks() -> None:
    class Bare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(2, 1, 3, 3))

        def forward(self, x: Tensor) -> Tensor:
            return functional.conv2d(x, self.weight)

    for words in (None, "conv"):
        with pytest.raises(LayerError, match=r"has no parts whose values can be read: it must compute with modules"):
            find_layers(Bare(), (1, 8, 8), words)


@pytest.mark.parametrize("is_raw", [False, True])
def test_complex_values_are_no_layers(is_raw: bool) -> None:
    class Complex(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 3, dtype=torch.complex64)
            self.head = nn.Linear(2, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = x if not is_raw or float(x.sum()) > -1e9 else -x
            return self.head(self.conv(x.to(torch.complex64)).abs().mean((2, 3)))

    assert [layer.name for layer in find_layers(Complex(), (1, 8, 8)).layers] == ["head"]
