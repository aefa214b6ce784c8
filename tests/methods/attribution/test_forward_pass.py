import torch

from lurk.methods.attribution.forward_pass import Passes, forward_pass, held_bytes
from lurk.methods.attribution.target import Target
from tests.methods.family import image_of, model_of, small

TARGET, IMAGES = Target("3", 1, "map"), image_of(2, 3, 16, 16)


def kept(target: Target = TARGET, layers: tuple[str, ...] = (), limit_bytes: int = 1 << 20) -> Passes:
    passes = Passes(limit_bytes)
    with forward_pass(model_of(small).plan(), target, IMAGES, layers, passes):
        return passes


def test_a_pass_is_kept_for_whoever_wants_no_more_layers():
    passes = kept(layers=("6",))
    assert passes.get(["6"]) is passes.get(["3", "6"]) is not None
    assert passes.get(["0"]) is None
    assert passes.get(["6"], to_the_end=True) is None
    assert kept(Target("3", 1, "class", label=2)).get([], to_the_end=True) is not None


def test_a_pass_that_is_too_large_is_not_kept():
    held = kept().bytes
    assert held > 0
    assert kept(limit_bytes=held).bytes == held
    assert kept(limit_bytes=held - 1).get(["3"]) is None
    assert kept(limit_bytes=held - 1).bytes == 0


def test_a_kept_pass_gives_its_gradients_again_and_again():
    plan, passes = model_of(small).plan(), Passes(1 << 20)
    found = []
    for _ in range(3):
        with forward_pass(plan, TARGET, IMAGES, (), passes) as done:
            number = TARGET.value(done.reached).sum()
            found.append(torch.autograd.grad(number, done.batch, retain_graph=done.bytes > 0)[0])
    assert found[0].any()
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_what_a_graph_holds_is_counted_once():
    x = torch.ones(1000, requires_grad=True)
    square = x * x
    assert held_bytes(square) == 4000
    assert held_bytes(square, square * square) == 8000
