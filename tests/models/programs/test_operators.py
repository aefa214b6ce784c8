import pytest
import torch
from torch import nn

from lurk.errors import ModelError
from lurk.models.programs.operators import is_training, operator_named


@pytest.mark.parametrize("transposed", [False, True])
def test_the_general_convolution_gives_what_the_module_gives(transposed):
    kind = nn.ConvTranspose2d if transposed else nn.Conv2d
    more = {"output_padding": 1} if transposed else {}
    part = kind(4, 6, 3, stride=2, padding=1, groups=2, **more)
    x = torch.randn(2, 4, 8, 8)
    general = operator_named("aten::convolution")
    extra = [1, 1] if transposed else [0, 0]
    found = general(x, part.weight, part.bias, [2, 2], [1, 1], [1, 1], transposed, extra, 2)
    assert torch.equal(found, part(x))


@pytest.mark.parametrize("name", ["aten::save", "aten::from_file", "aten::manual_seed", "mine::fast", "aten::no_such"])
def test_what_touches_more_than_tensors_is_refused(name):
    with pytest.raises(ModelError, match=f"^it runs the operator {name}, which is not run here"):
        operator_named(name)


def test_numbers_and_lists_are_computed_in_python():
    assert operator_named("aten::floordiv", "int")(7, 2) == 3
    assert operator_named("aten::div", "Tensor_mode")(7, 2, rounding_mode="trunc") == 3
    assert operator_named("aten::add", "t")([1], (2,)) == [1, 2]
    assert operator_named("aten::__getitem__", "t")(torch.zeros(2, 3).shape, 1) == 3
    assert operator_named("aten::size", "int")(torch.zeros(2, 3), 1) == 3
    items = [1]
    assert operator_named("aten::append", "t")(items, 2) is items
    assert items == [1, 2]


def test_the_named_overload_runs():
    assert operator_named("aten::tensor", "int")(2).item() == 2
    assert operator_named("aten::add", "Tensor")(torch.ones(1), torch.ones(1), alpha=3).item() == 4


def test_training_mode_is_told_from_evaluation():
    dropout, norm = ("input", "p", "train"), ("input", "running_mean", "training")
    assert is_training(dropout, {"p": 0.5, "train": True})
    assert not is_training(dropout, {"p": 0.5, "train": False})
    assert not is_training(dropout, {"train": True})  # its share is not known: it may be 0
    assert is_training(norm, {"training": True})
    assert not is_training(norm, {"training": True, "running_mean": None})  # it has no statistics but the batch's
