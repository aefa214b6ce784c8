import numpy as np
import pytest
import torch
from captum.attr import Occlusion
from torch import nn

from lurk.errors import Cancelled, LurkError
from lurk.methods.attribution.target import Target
from lurk.methods.run_method import method_specs
from tests.methods.family import Functional, ask, image_of, model_of, small


@pytest.mark.parametrize(
    ("shape", "size", "stride"), [((16, 16), 4, 2), ((16, 16), 5, 3), ((14, 21), 6, 4), ((16, 16), 16, 1)]
)
def test_equals_captum(shape, size, stride):
    model, image = model_of(Functional, (3, *shape)), image_of(3, *shape)
    ours = ask("occlusion", model, image, Target("two", 0, "class", label=2), size=size, stride=stride, fill="0").values
    theirs = Occlusion(model.module).attribute(
        image[None], (3, size, size), (3, stride, stride), baselines=0.0, target=2
    )[0]
    assert ours.shape == (1, *shape)
    assert torch.allclose(ours.expand(3, -1, -1), theirs.float(), atol=1e-4 * float(theirs.abs().max()))


def test_equals_captum_for_a_unit():
    model, image = model_of(Functional), image_of(3, 16, 16)
    module = model.module
    first = torch.relu(module.one(image[None]))[0, 2].detach()
    at = int(first.argmax())

    def unit(batch):
        return torch.relu(module.one(batch))[:, 2].flatten(1)[:, at]

    ours = ask("occlusion", model, image, Target("one", 2), size=4, stride=2, fill="mean").values
    mean = image.mean((1, 2), keepdim=True)[None].expand(1, 3, 16, 16)
    theirs = Occlusion(unit).attribute(image[None], (3, 4, 4), (3, 2, 2), baselines=mean)[0]
    assert torch.allclose(ours.expand(3, -1, -1), theirs.float(), atol=1e-4 * float(theirs.abs().max()))


@torch.no_grad()
def test_the_tables_say_what_the_network_gave_at_each_place():
    model, image = model_of(Functional), image_of(3, 16, 16)
    units = ask("occlusion", model, image, Target("two", 1, "map"), size=6, stride=5, fill="grey").more["activation"]
    found = ask("occlusion", model, image, Target("two", 1, "class", label=2), size=6, stride=5, fill="grey")
    module = model.module
    grey = model.normalised(torch.full((3, 1, 1), 0.5))
    rows, cols = found.more["activation"].shape
    assert (rows, cols) == (3, 3)
    for row in range(rows):
        for col in range(cols):
            top, left = found.more["top_left"][row, col]
            assert (top, left) == (5 * row, 5 * col)
            covered = image.clone()
            covered[:, top : top + 6, left : left + 6] = grey
            x = torch.max_pool2d(torch.relu(module.one(covered[None])), 2)
            unit = torch.relu(module.two(x))[0, 1].sum()
            shares = module(covered[None]).softmax(1)[0]
            assert units[row, col] == pytest.approx(float(unit), rel=1e-4)
            assert found.more["probability"][row, col] == pytest.approx(float(shares[2]), rel=1e-4)
            assert found.more["label"][row, col] == int(shares.argmax())
    assert found.more["label"].dtype == np.int64
    assert found.more["probability"].dtype == np.float32


def test_a_covered_pattern_is_the_one_that_is_missed():
    class Corner(nn.Module):
        def __init__(self):
            super().__init__()
            self.look = nn.Conv2d(1, 1, 1, bias=False)

        def forward(self, x):
            return self.look(x)

    model = model_of(Corner, (1, 12, 12))
    with torch.no_grad():
        model.module.look.weight.fill_(1)
    image = torch.zeros(1, 12, 12)
    image[0, 9, 2] = 7
    found = ask("occlusion", model, image, Target("look", 0), size=2, stride=1, fill="0")
    assert set(map(tuple, (found.values[0] == found.values.max()).nonzero().tolist())) == {(9, 2)}
    assert found.values[0, 9, 2] == 7
    assert found.values[0, 8, 1] == 7 / 4  # one of the four squares that cover it covers the spot
    assert set(found.more) == {"activation", "top_left"}  # there are no classes


@torch.no_grad()
def test_probabilities_that_the_network_gives_are_taken_as_they_are():
    model = model_of(lambda: nn.Sequential(small(), nn.Softmax(1)))
    image = image_of(3, 16, 16)
    found = ask("occlusion", model, image, Target("0.0", 0, "class", label=1), size=16, stride=16, fill="0")
    wanted = model.module(torch.zeros(1, 3, 16, 16))[0, 1]
    assert found.more["probability"][0, 0] == pytest.approx(float(wanted), rel=1e-4)


def test_squares_that_the_position_does_not_see_are_not_tried():
    model, image, tried = model_of(small), image_of(3, 16, 16), []
    target = Target("0", 0, "position", row=9, col=4)
    found = ask("occlusion", model, image, target, size=2, stride=1, report=lambda _, total: tried.append(total))
    assert set(tried) == {16}  # of 225; the position sees 3 × 3 pixels
    numbers = found.more["activation"]
    outside = numbers.copy()
    outside[7:11, 2:6] = numbers[0, 0]
    assert (outside == numbers[0, 0]).all()
    assert not found.values[0, :7].any()
    with torch.no_grad():
        fill = model.normalised(torch.full((3, 1, 1), 0.5))
        for top, left in ((7, 2), (8, 3), (10, 5)):
            covered = image.clone()
            covered[:, top : top + 2, left : left + 2] = fill
            unit = torch.relu(model.module[0](covered[None]))[0, 0, 9, 4]
            assert numbers[top, left] == pytest.approx(float(unit), rel=1e-4, abs=1e-6)


def test_the_default_square_is_a_seventh_of_the_image_in_steps_of_half_of_it():
    model = model_of(small, (3, 28, 56))
    found = ask("occlusion", model, image_of(3, 28, 56), Target("0", 0))
    assert found.more["activation"].shape == ((28 - 4) // 2 + 1, (56 - 4) // 2 + 1)


@pytest.mark.parametrize("side", [28, 224])
def test_a_coarse_map_tries_a_tenth_of_the_places(side):
    model = model_of(small, (3, side, side))
    spec = next(one for one in method_specs(model.plan()) if one.name == "occlusion")
    assert spec.many_passes
    options = spec.read(dict(spec.draft))
    found = ask("occlusion", model, image_of(3, side, side), Target("0", 0), **options)
    assert found.more["activation"].size <= 16
    assert found.values.shape[-2:] == (side, side)
    assert (found.values != 0).any()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": 17}, "size is at most 16"),
        ({"size": 4, "stride": 5}, "stride is at most the square's side of 4"),
        ({"fill": "pink"}, "fill is one of grey, mean, 0"),
    ],
)
def test_what_does_not_fit_is_named(options, words):
    with pytest.raises(LurkError, match=words):
        ask("occlusion", model_of(small), image_of(3, 16, 16), Target("0", 0), **options)


def test_it_can_be_stopped_and_says_how_far_it_is():
    said = []

    def report(done, total):
        said.append((done, total))
        if done >= 32:
            raise Cancelled

    with pytest.raises(Cancelled):
        ask("occlusion", model_of(small), image_of(3, 16, 16), Target("0", 0, "map"), report=report, size=2, stride=2)
    assert said == [(0, 64), (16, 64), (32, 64)]
