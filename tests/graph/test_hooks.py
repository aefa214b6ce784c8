import copy
from collections.abc import Iterator
from functools import partial

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional

from lurk.graph.hooks import evaluating, tapped, undisturbed
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


def hooks(module: nn.Module) -> int:
    return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in module.modules())


def ordinary(module: nn.Module) -> nn.Module:
    """Give the batch norms statistics of their own, some scales negative."""
    generator = torch.Generator().manual_seed(1)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.copy_(torch.randn(part.num_features, generator=generator) * 0.1)
            part.running_var.copy_(torch.rand(part.num_features, generator=generator) + 0.5)
            part.weight.data.copy_(torch.randn(part.num_features, generator=generator))
    return module.eval()


def test_resnet_activations_are_those_built_by_hand() -> None:
    module = ordinary(torchvision.models.resnet18(weights=None))
    image = torch.randn(2, 3, 64, 96)
    seen, output = activations(find_layers(module, (3, 64, 96)), image)
    with torch.no_grad():
        stem = functional.relu(module.bn1(module.conv1(image)))
        x = functional.max_pool2d(stem, 3, 2, 1)
        block = module.layer1[0]
        first = functional.relu(block.bn1(block.conv1(x)))
        second = block.bn2(block.conv2(first))
        torch.testing.assert_close(seen["conv1"], stem)
        torch.testing.assert_close(seen["layer1.0.conv1"], first)
        torch.testing.assert_close(seen["layer1.0.conv2"], second)
        torch.testing.assert_close(seen["layer1.0"], functional.relu(second + x))
        torch.testing.assert_close(output, module(image))
    assert (seen["layer1.0.conv2"] < 0).any()
    assert (seen["layer1.0"] >= 0).all()


def test_vgg_activations_are_taken_after_the_in_place_relu() -> None:
    module = torchvision.models.vgg11(weights=None, init_weights=False).eval()
    image = torch.randn(1, 3, 32, 48)
    made = find_layers(module, (3, 32, 48))
    seen, _ = activations(made, image)
    with torch.no_grad():
        x = image
        for i, part in enumerate(module.features):
            x = part(x.clone())
            if isinstance(part, nn.ReLU):
                torch.testing.assert_close(seen[f"features.{i - 1}"], x)
    assert seen["classifier.0"].shape == (1, 4096, 1, 1)


class Reused(nn.Module):
    """One convolution called twice, one activation called three times, in place."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.conv = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, image: Tensor) -> Tensor:
        x = self.relu(self.first(image))
        x = self.relu(self.conv(x))
        x = self.conv(x)
        x += 1
        return self.relu(x)


def test_two_calls_of_a_module_are_two_layers() -> None:
    module = Reused().eval()
    image = torch.randn(2, 3, 9, 11)
    seen, _ = activations(find_layers(module, (3, 9, 11)), image)
    with torch.no_grad():
        one = functional.relu(module.first(image))
        two = functional.relu(module.conv(one))
        three = functional.relu(module.conv(two) + 1)
    assert list(seen) == ["first", "conv", "conv:2"]
    torch.testing.assert_close(seen["conv"], two)
    torch.testing.assert_close(seen["conv:2"], three)


class Fickle(nn.Module):
    """Whose path depends on the content of the image."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu, self.head = nn.Conv2d(1, 4, 3), nn.ReLU(inplace=True), nn.Linear(4, 2)

    def forward(self, image: Tensor) -> Tensor:
        x = self.relu(self.conv(image))
        if x.mean() > 100:
            x = self.conv(image)
        return self.head(x.mean((2, 3)))


def test_raw_hooks_see_the_output_before_an_in_place_activation() -> None:
    module = Fickle().eval()
    made = find_layers(module, (1, 8, 8), "conv|relu|head")
    image = torch.randn(3, 1, 8, 8)
    seen, output = activations(made, image)
    assert [layer.tap for layer in made.layers] == ["raw"] * 3
    with torch.no_grad():
        torch.testing.assert_close(seen["conv"], module.conv(image))
        torch.testing.assert_close(seen["relu"], module.conv(image).relu())
        torch.testing.assert_close(output, module(image))
    assert hooks(module) == 0


@pytest.mark.parametrize("module", [Reused(), Fickle()], ids=["traced", "raw"])
def test_every_batch_gives_each_layer_once(module: nn.Module) -> None:
    channels = 3 if isinstance(module, Reused) else 1
    made = find_layers(module, (channels, 8, 8))
    count: list[int] = []
    with torch.no_grad(), tapped(made, lambda at, _: count.append(at)) as forward:
        for n in (1, 5, 2):
            forward(torch.randn(n, channels, 8, 8))
    assert count == list(range(len(made.layers))) * 3


class Storing(nn.Module):
    """Keeps things on itself while it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.register_buffer("seen", torch.zeros(1))
        self.calls = 0

    def forward(self, image: Tensor) -> Tensor:
        self.calls += 1
        self.seen += 1
        self.last = self.norm(self.conv(image))
        return self.last


@pytest.mark.parametrize("module", [Storing(), Fickle(), torchvision.models.resnet18(weights=None)])
def test_a_plan_leaves_the_module_as_it_was(module: nn.Module) -> None:
    module.train()
    next(module.children()).eval()
    weight = next(module.parameters())
    weight.requires_grad_(False)
    weight.grad = torch.ones_like(weight)
    before, attributes = copy.deepcopy(module.state_dict()), set(vars(module))
    flags = [part.training for part in module.modules()]
    channels = 1 if isinstance(module, Fickle) else 3
    made = find_layers(module, (channels, 32, 32))
    image = torch.zeros(1, channels, 32, 32)

    def run() -> None:
        with tapped(made, lambda _at, _value: 1 / 0) as forward:
            forward(image)

    with pytest.raises(ZeroDivisionError):
        run()
    assert [part.training for part in module.modules()] == flags
    assert hooks(module) == 0
    assert set(vars(module)) <= attributes | {"last"}
    assert not weight.requires_grad
    assert weight.grad is not None
    for name, value in module.state_dict().items():
        if name != "seen":
            assert torch.equal(value, before[name]), name


def test_undisturbed_puts_back_what_the_forward_pass_stores() -> None:
    module = Storing()
    with undisturbed(module), torch.no_grad():
        module(torch.zeros(2, 3, 5, 5))
        module.conv.register_forward_hook(lambda *_: None)
        module.extra = nn.ReLU()
    assert module.calls == 0
    assert module.seen.item() == 0
    assert not hasattr(module, "last")
    assert not hasattr(module, "extra")
    assert hooks(module) == 0


def test_evaluating_restores_each_flag_after_an_error() -> None:
    module = nn.Sequential(nn.Dropout(), nn.BatchNorm2d(3))
    module[1].eval()

    def fail() -> None:
        with evaluating(module):
            assert not module[0].training
            module[1].weight.requires_grad_(False)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert [part.training for part in module.modules()] == [True, True, False]
    assert module[1].weight.requires_grad


def test_weights_are_shared_not_copied() -> None:
    module = Reused().eval()
    made = find_layers(module, (3, 8, 8))
    image = torch.randn(1, 3, 8, 8)
    with torch.no_grad():
        module.first.weight.mul_(2)
    _, output = activations(made, image)
    with torch.no_grad():
        torch.testing.assert_close(output, module(image))


def test_gradients_flow_through_the_tapped_pass() -> None:
    module = Reused().eval()
    made = find_layers(module, (3, 8, 8))
    seen: dict[int, Tensor] = {}
    image = torch.randn(1, 3, 8, 8, requires_grad=True)
    with tapped(made, lambda at, value: seen.__setitem__(at, value.clone())) as forward:
        forward(image)
    seen[1].sum().backward()
    assert image.grad is not None
    assert image.grad.abs().sum() > 0


class Caching(nn.Module):
    """Keeps what it has computed, as LeViT keeps its attention biases."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.cache, self.shapes = nn.Conv2d(1, 2, 1), {"always": torch.ones(2, 2)}, []

    def forward(self, x: Tensor) -> Tensor:
        self.shapes.append(tuple(x.shape))
        if "bias" not in self.cache:
            self.cache["bias"] = self.conv.bias * 2
        return self.conv(x) + self.cache["bias"].view(1, -1, 1, 1)


def test_what_a_network_keeps_in_a_cache_is_undone():
    module = Caching()
    kept, list_of_its_own, tensor = module.cache, module.shapes, module.cache["always"]
    assert find_layers(module, (1, 4, 4)).graph is not None
    assert module.cache is kept
    assert list(kept) == ["always"]
    assert kept["always"] is tensor
    assert module.shapes is list_of_its_own
    assert list_of_its_own == []


class Branching(nn.Module):
    """Two layers that are tapped, and a third that counts its calls; a graph of it exists unless it asks a value."""

    def __init__(self, asks: bool) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 3), nn.Conv2d(5, 6, 3)
        self.asks = asks

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu6(self.first(x * 20))
        if self.asks and float(x.detach().numpy().sum()) < 0:
            return x
        return self.third(self.second(x).sigmoid())


def counted(part: nn.Module) -> list[int]:
    """One entry for each call of a module."""
    calls: list[int] = []
    part.register_forward_hook(lambda *_: calls.append(1))
    return calls


@pytest.mark.parametrize("asks", [False, True], ids=["traced", "raw"])
def test_a_pass_that_need_not_come_to_its_end_stops_after_the_last_tapped_layer(asks: bool) -> None:
    module, image = Branching(asks).eval(), torch.randn(2, 3, 12, 12)
    made = find_layers(module, (3, 12, 12), expression="first|second")
    assert (made.graph is None) == asks
    calls, seen = counted(module.third), []
    for to_the_end in (False, True):
        with torch.no_grad(), tapped(made, lambda at, _: seen.append(at), to_the_end=to_the_end) as forward:
            assert (forward(image) is None) == (not to_the_end)
        assert len(calls) == int(to_the_end)
        assert seen == [0, 1] * (1 + to_the_end)
    assert hooks(module) == 1


def test_a_layer_whose_function_only_cuts_values_off_is_handed_over_uncut() -> None:
    module, image = Branching(asks=False).eval(), torch.randn(2, 3, 12, 12)
    made = find_layers(module, (3, 12, 12))
    plain: dict[tuple[str, int], Tensor] = {}
    uncut: dict[tuple[str, int], Tensor] = {}

    def keep(kept: dict[tuple[str, int], Tensor], kind: str, at: int, value: Tensor) -> None:
        kept[kind, at] = value.clone()

    def keep_uncut(at: int, cut: tuple[float, float], value: Tensor) -> None:
        uncut["cut", at] = value.clamp(*cut)
        uncut["before", at] = value.clone()

    with torch.no_grad(), tapped(made, partial(keep, plain, "score"), partial(keep, plain, "before")) as forward:
        forward(image)
    with (
        torch.no_grad(),
        tapped(
            made, partial(keep, uncut, "score"), partial(keep, uncut, "before"), receive_uncut=keep_uncut
        ) as forward,
    ):
        forward(image)
    assert sorted(plain) == [("before", 0), ("before", 1), ("score", 0), ("score", 1), ("score", 2)]
    assert sorted(uncut) == [("before", 0), ("before", 1), ("cut", 0), ("score", 1), ("score", 2)]
    assert torch.equal(uncut["cut", 0], plain["score", 0])
    assert torch.equal(uncut["before", 0], plain["before", 0])
