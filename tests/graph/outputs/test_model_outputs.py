from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from types import SimpleNamespace

import torch
from torch import Tensor, nn

from lurk.graph.outputs.model_outputs import list_outputs, name_outputs, name_tables

ONE, TWO, THREE = torch.zeros(2, 10), torch.zeros(2, 512), torch.zeros(2)
Pair = namedtuple("Pair", "logits aux")


@dataclass
class Answer:
    """As of a library."""

    logits: Tensor
    hidden: Tensor | None = None


def names(output: object) -> list[str]:
    return [one.name for one in name_outputs(output)]


def test_one_tensor_is_the_output():
    assert names(ONE) == ["output"]


def test_tensors_are_named_by_key_field_attribute_or_number():
    assert names((TWO, ONE)) == ["0", "1"]
    assert names([TWO, ONE]) == ["0", "1"]
    assert names({"features": TWO, "logits": ONE}) == ["features", "logits"]
    assert names(OrderedDict(out=TWO, aux=ONE)) == ["out", "aux"]
    assert names(Pair(ONE, TWO)) == ["logits", "aux"]
    assert names(Answer(ONE, TWO)) == ["logits", "hidden"]
    assert names(SimpleNamespace(logits=ONE, _cache=TWO)) == ["logits"]


def test_nested_tensors_have_dots_in_their_names():
    assert names({"a": [ONE, {"b": TWO}], "c": (THREE,)}) == ["a.0", "a.1.b", "c.0"]


def test_what_is_no_tensor_is_left_out():
    assert names(Pair(ONE, None)) == ["logits"]
    assert names((ONE, 3, "text", nn.Linear(2, 2))) == ["0"]
    assert names(None) == []


def test_a_tensor_with_two_names_is_one_output():
    assert names((ONE, {"again": ONE})) == ["0"]


def test_an_output_that_holds_itself_ends():
    loop = SimpleNamespace(logits=ONE)
    loop.itself = loop
    assert names(loop) == ["logits"]


def test_a_dict_for_each_image_is_named_by_its_keys():
    made = [{"boxes": torch.zeros(n, 4), "scores": torch.zeros(n)} for n in (3, 0, 7)]
    tables = name_tables(made)
    assert [(one.name, [len(t) for t in one.tensors]) for one in tables] == [
        ("boxes", [3, 0, 7]),
        ("scores", [3, 0, 7]),
    ]
    assert list_outputs(tables) == "boxes (boxes, 4) an image, scores (boxes,) an image"
    assert name_tables([{"a": ONE}, {"b": ONE}]) == []
    assert name_tables([]) == []


def test_a_list_says_each_shape():
    assert list_outputs(name_outputs({"features": TWO, "logit": THREE})) == "features (n, 512), logit (n,)"
    assert list_outputs([]) == "none"
