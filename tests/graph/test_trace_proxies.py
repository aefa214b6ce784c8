import builtins
import sys
import threading
from collections import deque

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional

from lurk.errors import ModelError
from lurk.graph.layers import find_layers
from tests.methods.networks import image_of, seeded


class Doubled(torch.autograd.Function):
    """Passes the image on, and twice its gradient."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return x * 1

    @staticmethod
    def backward(ctx, signal: Tensor) -> Tensor:
        return 2 * signal


class Asking(nn.Module):
    """Asks whether it was given a tensor, as many networks do."""

    def forward(self, x: Tensor) -> Tensor:
        if not isinstance(x, Tensor):
            raise TypeError("no tensor")
        return x + 1 if torch.is_tensor(x) and isinstance(x, (list, torch.Tensor)) else x


class Doing(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.one, self.two, self.function = nn.Conv2d(1, 3, 1), nn.Conv2d(3, 2, 1), function

    def forward(self, x: Tensor) -> Tensor:
        return self.two(self.function(self.one(x)))


def marked(x: Tensor) -> Tensor:
    mask = x.new_zeros(x.shape[2:])
    mask[1:, :2] = 3
    return x + mask


SPELLINGS = {
    "a transpose that is an attribute": lambda x: x.mT,
    "a constant that is set in part": marked,
    "a function of a tensor and a number": lambda x: torch.pow(x, 3),
    "a function of a number and a tensor": lambda x: torch.pow(2, x),
    "a choice of a tensor and a number": lambda x: torch.where(x > 0, x, 0.0),
    "an apply that was looked up before": Doubled.apply,
    "an apply that is looked up now": lambda x: Doubled.apply(x, *()),
    "a question": Asking(),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_torchs_own_code_is_not_deceived_by_a_stand_in(spelling):
    made = find_layers(seeded(lambda: Doing(SPELLINGS[spelling])), (1, 4, 4))
    assert made.graph is not None
    assert [layer.name for layer in made.layers] == ["one", "two"]


class Contextual(Doubled):
    """Keeps its forward pass apart from what it stores for its gradient."""

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x * 1

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        ctx.save_for_backward(*inputs)


def test_a_custom_function_with_a_context_of_its_own_is_one_node():
    made = find_layers(seeded(lambda: Doing(Contextual.apply)), (1, 4, 4))
    assert made.graph is not None
    functions = [node.target.__name__ for node in made.graph.nodes if node.op == "call_function"]
    assert functions == ["apply"]


def names_of_torch() -> list[object]:
    """What a trace must leave alone, as any thread finds it."""
    return [
        builtins.isinstance,
        torch.autograd.Function.__dict__["apply"],
        functional.__dict__.get("isinstance"),
        torch.Tensor.__dict__.get("__class__"),
    ]


class Elsewhere(nn.Module):
    """Lets another thread look at the names, run a network and use a custom function while it is traced."""

    def __init__(self, fails: bool) -> None:
        super().__init__()
        self.conv, self.fails = nn.Conv2d(1, 2, 1), fails
        self.seen: deque[object] = deque()  # no list: what a network keeps in one is undone

    def forward(self, x: Tensor) -> Tensor:
        def look() -> None:
            image = torch.ones(1, 1, 2, 2)
            own = nn.Conv2d(1, 2, 1)
            plain = [isinstance(image, Tensor), isinstance(3, (str, int)), isinstance("3", int)]
            results = [torch.equal(Doubled.apply(image), image), type(own(image)), type(self.conv(image))]
            self.seen.append((names_of_torch(), plain, results))

        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        if self.fails:
            raise RuntimeError
        return self.conv(x)


@pytest.mark.parametrize("fails", [False, True])
def test_another_thread_sees_the_originals_while_a_trace_runs_and_nothing_stays_of_it(fails):
    own = (vars(sys.modules[__name__]), vars(torch), vars(torchvision))
    before = [*names_of_torch(), Doubled.__dict__["forward"]]
    module = Elsewhere(fails)
    if fails:
        with pytest.raises(ModelError):
            find_layers(module, (1, 4, 4))
    else:
        assert find_layers(module, (1, 4, 4)).graph is not None
    assert module.seen
    for names, plain, results in module.seen:
        assert names == before[:-1]
        assert plain == [True, True, False]
        assert results == [True, Tensor, Tensor]
    assert [*names_of_torch(), Doubled.__dict__["forward"]] == before
    assert not any("isinstance" in names for names in own)


@pytest.mark.parametrize("spelling", ["an apply that was looked up before", "an apply that is looked up now"])
def test_the_graph_keeps_the_derivative_of_a_custom_function(spelling):
    from lurk.methods.attribution.backsignal import target_signal
    from lurk.methods.attribution.target import Target

    module, image = seeded(lambda: Doing(SPELLINGS[spelling])), image_of(1, 1, 4, 4)
    batch = image.clone().requires_grad_()
    (expected,) = torch.autograd.grad(module(batch)[:, 1].sum(), batch)
    torch.testing.assert_close(target_signal(find_layers(module, (1, 4, 4)), Target("two", 1, "map"), image), expected)
