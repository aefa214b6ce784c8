"""The class scores of hand-made outputs: which output is taken, and what is read from it, worked out by hand."""

from collections import namedtuple

import pytest
import torch
from torch import Tensor, nn

from lurk.errors import ModelError
from lurk.graph.batch_check import watch
from lurk.graph.outputs.class_scores import ClassScores, find_class_scores

PROBE = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
Inception = namedtuple("Inception", "logits aux_logits")


class Gives(nn.Module):
    """Gives what a function makes of the mean colours, float (n, 3)."""

    def __init__(self, make) -> None:
        super().__init__()
        self.make = make

    def forward(self, x: Tensor) -> object:
        return self.make(x.mean((2, 3)))


def found(make, classes=None, wanted=None) -> ClassScores:
    alone, together = (watch(Gives(make), images).output for images in (PROBE[:1], PROBE))
    return find_class_scores(alone, together, len(PROBE), classes, wanted)


def wide(x: Tensor, columns: int) -> Tensor:
    return torch.cat([x * (i + 1) for i in range(columns)], 1)[:, :columns]


OUTPUTS = {
    "(features, logits)": (lambda x: (wide(x, 12), wide(x, 10)), "1"),
    "(value, logits)": (lambda x: (x[:, 0], wide(x, 10)), "1"),
    "(value of one column, logits)": (lambda x: (x[:, :1], wide(x, 10)), "1"),
    "(logits, features)": (lambda x: (wide(x, 10), wide(x, 12)), "0"),
    "dict": (lambda x: {"features": wide(x, 12), "logits": wide(x, 10)}, "logits"),
    "named tuple": (lambda x: Inception(wide(x, 10), None), "logits"),
    "nested": (lambda x: {"heads": [wide(x, 12), (wide(x, 10),)]}, "heads.1.0"),
    "whole numbers beside": (lambda x: (wide(x, 10).long(), wide(x, 10)), "1"),
    "maps beside": (lambda x: (wide(x, 10), wide(x, 10)[:, :, None, None].expand(-1, -1, 7, 7)), "0"),
    "of 1×1 positions": (lambda x: wide(x, 10)[:, :, None, None], "output"),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_the_output_with_a_column_for_each_class_is_taken(name):
    make, expected = OUTPUTS[name]
    scores = found(make, 10)
    assert (scores.output, scores.form, scores.classes, scores.missing) == (expected, "columns", 10, "")
    output = Gives(make)(PROBE)
    assert torch.equal(scores.read(output, 2), wide(PROBE.mean((2, 3)), 10))


def test_a_choice_among_several_outputs_is_noted():
    note = found(OUTPUTS["dict"][0], 10).note
    assert note == "class scores: logits (n, 10), of features (n, 12), logits (n, 10)"
    assert found(lambda x: x, 3).note == ""


@pytest.mark.parametrize(
    ("make", "classes"),
    [
        (lambda x: (wide(x, 10), wide(x, 10) * 2), 10),
        (lambda x: Inception(wide(x, 10), wide(x, 10) * 2), 10),
        (lambda x: (wide(x, 12), wide(x, 10)), None),
        (lambda x: {"value": x[:, :1], "logits": wide(x, 10)}, None),
    ],
)
def test_several_outputs_that_may_be_meant_are_named(make, classes):
    scores = found(make, classes)
    assert scores.missing.startswith("2 outputs may be the class scores: ")
    assert "(n, 10)" in scores.missing
    assert "--output" in scores.missing
    with pytest.raises(ModelError, match="say which with --output"):
        scores.read(Gives(make)(PROBE), 2)
    assert found(make, classes, "1").output in ("1", "aux_logits", "logits")


def test_features_are_never_class_scores():
    scores = found(lambda x: (wide(x, 512), wide(x, 64)), 10)
    assert scores.missing == (
        "the model gives no class scores: of its outputs (0 (n, 512), 1 (n, 64)) none has a column for each of its "
        "10 classes; another is chosen with --output NAME"
    )
    with pytest.raises(ModelError, match="no column for each of 10 classes"):
        found(lambda x: (wide(x, 512), wide(x, 10)), 10, "0")


@pytest.mark.parametrize("count", [3, 9, 11, 512])
def test_another_number_of_class_names_than_of_columns_is_refused(count):
    with pytest.raises(
        ModelError, match=rf"gives {count} numbers for an image, and there are 10 class names"
    ) as caught:
        found(lambda x: wide(x, count), 10)
    assert "\n" not in str(caught.value)


def test_an_output_is_named_or_numbered():
    def make(x: Tensor) -> object:
        return {"a": wide(x, 4), "b": [wide(x, 5), wide(x, 6)]}

    assert [found(make, None, wanted).output for wanted in ("a", "b.1", "2", 1)] == ["a", "b.1", "b.1", "b.0"]
    with pytest.raises(ModelError, match=r"--output 'c': .*; it gives a \(n, 4\), b.0 \(n, 5\), b.1 \(n, 6\)"):
        found(make, None, "c")
    with pytest.raises(ModelError, match="--output '3'"):
        found(make, None, "3")


@pytest.mark.parametrize("shape", [(-1,), (-1, 1), (-1, 1, 1, 1)])
def test_one_score_an_image_is_that_of_the_second_of_two_classes(shape):
    def make(x: Tensor) -> Tensor:
        return x[:, 0].reshape(shape)

    scores, z = found(make, 2), PROBE.mean((2, 3))[:, :1]
    assert (scores.form, scores.classes) == ("two", 2)
    assert torch.equal(scores.read(make(PROBE.mean((2, 3))), 2), torch.cat([-z, z], 1))
    odds = scores.probabilities(make(PROBE.mean((2, 3))), 2)
    assert torch.allclose(odds[:, 1:], z.sigmoid())
    assert torch.allclose(odds.sum(1), torch.ones(2))


def test_one_score_is_the_only_class_without_names():
    scores = found(lambda x: x[:, 0], None)
    assert (scores.form, scores.classes) == ("one", 1)
    assert torch.equal(scores.read(torch.tensor([3.0, -1.0]), 2), torch.tensor([[3.0], [-1.0]]))
    assert found(lambda x: x[:, :1], 1).classes == 1


def test_a_probability_of_two_classes_is_no_logit():
    scores = found(lambda x: (x[:, 0] * 5).sigmoid(), 2)
    assert scores.are_probabilities
    assert torch.allclose(scores.read(torch.tensor([0.3, 0.9]), 2), torch.tensor([[0.7, 0.3], [0.1, 0.9]]))
    assert torch.allclose(scores.probabilities(torch.tensor([0.3]), 1), torch.tensor([[0.7, 0.3]]))


def test_two_columns_are_preferred_to_one_score():
    assert found(lambda x: (x[:, 0], x[:, :2]), 2).output == "1"


@pytest.mark.parametrize("classes", [10, None])
def test_an_output_squeezed_at_one_image_is_read(classes):
    scores = found(lambda x: wide(x, 10).squeeze(), classes)
    assert torch.equal(scores.read(torch.arange(10.0), 1), torch.arange(10.0)[None])
    one = found(lambda x: x[:, :1].squeeze(), None)
    assert torch.equal(one.read(torch.tensor(2.0), 1), torch.tensor([[2.0]]))


def test_probabilities_are_told_from_scores():
    assert found(lambda x: wide(x, 10).softmax(1), 10).are_probabilities
    assert found(lambda x: wide(x, 10).sigmoid(), 10).are_probabilities
    assert not found(lambda x: wide(x, 10).log_softmax(1), 10).are_probabilities
    assert not found(lambda x: wide(x, 10), 10).are_probabilities
    assert not found(lambda x: wide(x, 10).sigmoid() @ torch.eye(10), 10).are_probabilities
    assert found(lambda x: wide(x, 10).softmax(1).detach(), 10).are_probabilities
    scores = found(lambda x: wide(x, 4).log_softmax(1), 4)
    odds = torch.tensor([[0.1, 0.2, 0.3, 0.4]])
    assert torch.allclose(scores.probabilities(odds.log(), 1), odds)


def spread(x: Tensor, classes: int) -> Tensor:
    """A score at each of 2×3 positions, float (n, classes, 2, 3)."""
    return wide(x, classes)[:, :, None, None] * torch.arange(6.0).view(2, 3)


def test_a_segmentation_network_has_the_mean_score_of_each_class():
    scores = found(lambda x: {"out": spread(x, 5)}, 5)
    assert (scores.output, scores.form, scores.classes) == ("out", "positions", 5)
    given = spread(PROBE.mean((2, 3)), 5)
    assert torch.allclose(scores.read({"out": given}, 2), wide(PROBE.mean((2, 3)), 5) * 2.5)
    assert torch.equal(scores.maps({"out": given}, 2), given)
    shares = given.softmax(1).mean((2, 3))
    assert torch.allclose(scores.probabilities({"out": given}, 2), shares)
    assert torch.allclose(shares.sum(1), torch.ones(2))


def test_classes_on_the_last_axis_are_found_by_their_number():
    scores = found(lambda x: spread(x, 5).movedim(1, -1), 5, "0")
    given = spread(PROBE.mean((2, 3)), 5)
    assert torch.equal(scores.maps(given.movedim(1, -1), 2), given)


def test_a_map_without_class_names_is_no_class_score_unless_it_is_named():
    assert found(lambda x: spread(x, 5)).missing.startswith("the model gives no class scores")
    assert found(lambda x: spread(x, 5), None, "output").classes == 5


def detector(counts):
    def make(x: Tensor) -> list[dict[str, Tensor]]:
        made = []
        for number, row in zip(counts, x, strict=False):
            labels = torch.arange(number) % 3
            made.append(
                {"boxes": torch.zeros(number, 4), "labels": labels, "scores": row.mean() * 0 + labels * 0.1 + 0.2}
            )
        return made

    return make


@pytest.mark.parametrize("counts", [(4, 1), (0, 0), (2, 2)])
def test_a_detector_has_class_scores_only_by_name(counts):
    scores = found(detector(counts), 3)
    assert scores.missing.startswith("the model gives no class scores: of its outputs (boxes (boxes, 4) an image, ")
    scores = found(detector(counts), 3, "scores")
    assert (scores.form, scores.classes) == ("detections", 3)


def test_a_class_of_a_detector_has_the_score_of_its_strongest_detection():
    scores = found(detector((4, 1)), 3, "scores")
    output = [
        {"scores": torch.tensor([0.5, 0.9, 0.3]), "labels": torch.tensor([1, 1, 2])},
        {"scores": torch.zeros(0), "labels": torch.zeros(0, dtype=torch.long)},
    ]
    assert torch.equal(scores.read(output, 2), torch.tensor([[0.0, 0.9, 0.3], [0.0, 0.0, 0.0]]))
    assert torch.equal(scores.probabilities(output, 2), scores.read(output, 2))


def test_boxes_are_no_class_scores():
    with pytest.raises(ModelError, match=r"boxes .* holds no class scores"):
        found(detector((4, 1)), 3, "boxes")


def test_two_heads_in_a_list_of_dicts_are_no_detections():
    scores = found(lambda x: [{"logits": wide(x, 10)}, {"logits": wide(x, 4)}], 10)
    assert scores.output == "0.logits"


def test_an_output_that_changes_its_shape_is_an_error():
    with pytest.raises(ModelError, match="not as at the start"):
        found(lambda x: x, 3).read(torch.zeros(2, 5), 2)
    with pytest.raises(ModelError, match="no output 'logits'"):
        found(lambda x: {"logits": x}, 3).read({}, 2)


def test_a_model_that_does_not_work_with_gradients_is_read_without():
    assert found(lambda x: torch.from_numpy((x * 1).numpy()), 3).classes == 3
