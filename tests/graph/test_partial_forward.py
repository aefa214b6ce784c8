import gc
import linecache
import resource

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import lurk
from lurk.errors import LayerError, ModelError
from lurk.graph.hooks import tapped
from lurk.graph.layers import find_layers
from lurk.graph.partial_forward import GradientsOn, partial_forward
from lurk.methods.attribution.backsignal import target_signal
from lurk.methods.attribution.target import Target
from tests.methods.networks import SHAPES, Functional, image_of, network, seeded, state_of


def by_sweep(made, image: Tensor) -> dict[str, Tensor]:
    seen: dict[str, Tensor] = {}

    def receive(at: int, value: Tensor) -> None:
        seen[made.layers[at].name] = value.clone()

    with torch.no_grad(), tapped(made, receive) as forward:
        forward(image.clone())
    return seen


@pytest.mark.parametrize("name", SHAPES)
def test_every_layer_is_reached_with_the_values_that_the_sweep_measures(name):
    model = network(name)
    made, image = model.plan(), image_of(2, *model.input_shape)
    expected = by_sweep(made, image)
    with partial_forward(made, [layer.name for layer in made.layers], to_the_end=True) as reach:
        reached = reach(image)
        assert torch.equal(reached.output, model.module(image))
    assert expected
    for layer, value in expected.items():
        assert torch.equal(reached[layer], value), layer


@pytest.mark.parametrize("name", SHAPES)
def test_a_gradient_passes_through_a_layer_to_the_image(name):
    """The chain rule: moving the image moves the class score by way of a layer that everything passes."""
    model = network(name)
    made = model.plan()
    layer = made.layers[0].name
    batch = image_of(1, *model.input_shape).requires_grad_()
    with partial_forward(made, [layer], to_the_end=True) as reach:
        reached = reach(batch)
        number = reached.class_scores[0, 2]
        above = reached.gradient(number, layer)
        (through,) = torch.autograd.grad((reached[layer] * above).sum(), batch, retain_graph=True)
        (whole,) = torch.autograd.grad(number, batch)
    assert whole.abs().max() > 0
    assert (through - whole).abs().max() <= 1e-5 * whole.abs().max()


def test_an_activation_that_is_rectified_in_place_without_taking_the_result_is_on_the_way_to_what_follows():
    model = seeded(Functional)
    made = find_layers(model, (3, 16, 16))
    with partial_forward(made, ["two", "three"]) as reach:
        reached = reach(image_of(1, 3, 16, 16).requires_grad_())
        assert (reached["two"] >= 0).all()
        assert reached.gradient(reached["three"].sum(), "two").any()


def test_what_comes_after_the_last_layer_is_not_run():
    model = network("plain")
    made, ran = model.plan(), []
    for part in (model.module[7], model.module[12]):
        part.register_forward_hook(lambda part, _given, _output: ran.append(type(part).__name__))
    with partial_forward(made, ["0", "3"]) as reach:
        assert reach(image_of(1, 3, 16, 16)).output is None
    assert ran == []


def test_an_activation_is_not_overwritten_by_what_works_in_place_on_it_later():
    class Doubling(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Conv2d(1, 2, 1), nn.Conv2d(2, 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            x = self.one(x)
            y = self.two(x)
            x *= 0
            x += y
            return x

    module, image = seeded(Doubling), image_of(1, 1, 3, 3)
    made = find_layers(module, (1, 3, 3))
    with partial_forward(made, ["one", "two"], to_the_end=True) as reach:
        reached = reach(image)
        assert torch.equal(reached["one"], module.one(image))


@pytest.mark.parametrize("name", SHAPES)
def test_the_callers_image_and_the_model_stay_as_they_were(name):
    model = network(name)
    made, before = model.plan(), state_of(model.module)
    image = image_of(1, *model.input_shape)
    kept = image.clone()
    with partial_forward(made, [made.layers[-1].name]) as reach:
        reach(image)
        assert not any(weight.requires_grad for weight in model.module.parameters())
    assert torch.equal(image, kept)
    assert state_of(model.module) == before


def test_a_failing_forward_pass_leaves_the_model_as_it_was():
    model = network("untraceable")
    before = state_of(model.module)
    with pytest.raises(RuntimeError), partial_forward(model.plan(), ["two"]) as reach:
        reach(image_of(1, 5, 16, 16))
    assert state_of(model.module) == before


class Cautious(nn.Module):
    """Cannot be traced, and catches whatever goes wrong in its own code."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(1, 2, 1), nn.Conv2d(2, 2, 1)
        self.ran = 0

    def forward(self, x: Tensor) -> Tensor:
        if float(x.detach().sum()) == float("inf"):
            return x
        try:
            x = self.one(x)
        except Exception:
            x = torch.zeros(1, 2, 3, 3)
        self.ran += 1
        return self.two(x)


def test_a_model_that_catches_exceptions_is_stopped_all_the_same():
    module = seeded(Cautious)
    made = find_layers(module, (1, 3, 3))
    assert made.graph is None
    before = module.ran
    with partial_forward(made, ["one"]) as reach:
        reach(image_of(1, 1, 3, 3))
    assert module.ran == before


def test_a_layer_that_is_not_there_is_refused_with_those_that_are():
    with (
        pytest.raises(LayerError, match="no layer 'nose'; its layers are 0, 3, 7, 12"),
        partial_forward(network("plain").plan(), ["nose"]),
    ):
        pass


def test_a_layer_that_the_model_passed_by_on_this_image_says_so():
    class Either(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Conv2d(1, 2, 1), nn.Conv2d(1, 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            if x.shape[0] > 5 or float(x.detach().abs().sum()) > 1000:
                return functional.relu(self.one(x))
            return functional.relu(self.two(x))

    made = find_layers(seeded(Either), (1, 3, 3))
    layer = made.layers[0].name
    with partial_forward(made, [layer]) as reach:
        reached = reach(1000 * image_of(1, 1, 3, 3))
        if made.graph is None:
            with pytest.raises(ModelError, match=f"layer {layer} did not run on this image"):
                reached[layer]


def test_everything_works_inside_inference_mode_with_an_image_that_was_made_there():
    model = network("residual")
    made, target = model.plan(), Target("blocks.1.conv2", 1)
    expected = target_signal(made, target, image_of(1, 3, 16, 16), "guided")
    with torch.inference_mode():
        image = image_of(1, 3, 16, 16) + 0
        assert image.is_inference()
        found = target_signal(made, target, image, "guided")
    assert torch.equal(found, expected)
    assert not found.is_inference()


def memory() -> int:
    """Largest memory of this process so far, KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@pytest.mark.parametrize(("name", "count"), [("functional", 1000), ("untraceable", 200)])
def test_memory_stays_flat_over_a_thousand_maps(name, count):
    model = network(name)
    made, image = model.plan(), image_of(1, *model.input_shape)
    target = Target(made.layers[-1].name, 0)

    def maps(count: int) -> tuple[int, int, int]:
        for number in range(count):
            target_signal(made, target, image, ("gradient", "deconvnet", "guided")[number % 3])
        gc.collect()
        return len(gc.get_objects()), len(linecache.cache), memory()

    rounds = [maps(50), maps(count // 2), maps(count // 2)]
    objects, lines, sizes = zip(*rounds, strict=True)
    grown = min(objects[1] - objects[0], objects[2] - objects[1])
    assert grown < 200 * count // 1000, "a leak grows in every round; what other tests left running does not"
    assert len(set(lines)) == 1
    assert sizes[2] - sizes[0] < 8 * 1024


def test_a_model_that_is_loaded_inside_inference_mode_has_gradients_too():
    """A job that a sweep lets through runs inside of the sweep's inference mode, and may be the first of its model."""
    with torch.inference_mode():
        model = lurk.load_model("squeezenet1_1", weights="random")
    assert not any(weight.is_inference() for weight in model.module.parameters())


@pytest.mark.parametrize("way", [torch.no_grad, torch.inference_mode, lambda: torch.set_grad_enabled(False)])
def test_gradients_pass_through_code_that_turns_them_off(way):
    x = torch.tensor([2.0, 3.0], requires_grad=True)
    with GradientsOn(), way():
        y = (x * x).sum() + nn.functional.relu(x).sum()
    (found,) = torch.autograd.grad(y, x)
    assert found.tolist() == [5.0, 7.0]
    assert torch.is_grad_enabled()


def test_what_is_detached_stays_detached():
    x = torch.tensor([2.0], requires_grad=True)
    with GradientsOn():
        y = x * x.detach()
    assert torch.autograd.grad(y, x)[0].tolist() == [2.0]


class NormalisedTokens(nn.Module):
    """Tokens straight from a normalisation, as after the stem of some transformers."""

    def __init__(self, norm: nn.Module, *, is_traced: bool = True) -> None:
        super().__init__()
        self.norm, self.mix, self.is_traced = norm, nn.Linear(8, 2), is_traced

    def forward(self, x: Tensor) -> Tensor:
        if not self.is_traced and float(x.abs().max()) > 1e9:
            x = -x
        return self.mix(functional.layer_norm(self.norm(x).flatten(2).transpose(1, 2), (8,))).mean(1)


def gradient_of_one_position(net: NormalisedTokens, image: Tensor) -> Tensor:
    plan = find_layers(net, (8, 14, 14), "mix")
    assert {layer.tap for layer in plan.layers} == {"post" if net.is_traced else "raw"}
    image.requires_grad_()
    with partial_forward(plan, ["mix"]) as reach:
        (found,) = torch.autograd.grad(reach(image)["mix"].flatten(2)[0, 1, 102], image)
    return found


@pytest.mark.parametrize("is_traced", [True, False])
@pytest.mark.parametrize("kind", [nn.BatchNorm2d, nn.InstanceNorm2d])
def test_the_gradient_of_a_normalisation_before_tokens_is_that_of_its_formula(kind, is_traced):
    torch.manual_seed(0)
    net, image = NormalisedTokens(kind(8), is_traced=is_traced).eval(), torch.randn(1, 8, 14, 14)
    found = gradient_of_one_position(net, image.clone())
    precise = image.double().requires_grad_()
    mean, variance = torch.zeros(8, 1, 1), torch.ones(8, 1, 1)
    if kind is nn.InstanceNorm2d:
        mean, variance = precise.mean((2, 3), True), precise.var((2, 3), correction=0, keepdim=True)
    normal = ((precise - mean) / (variance + 1e-5).sqrt())[0, :, 7, 4]
    unit = functional.layer_norm(normal, (8,)) @ net.mix.weight[1].double()
    (expected,) = torch.autograd.grad(unit, precise)
    torch.testing.assert_close(found, expected.float(), rtol=1e-4, atol=1e-5)
