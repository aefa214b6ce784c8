"""Pictures of classes."""

import pytest
import torch

from lurk.errors import LurkError
from lurk.methods.feature_vis.picture_evaluation import evaluate_pictures
from tests.methods.drawing import draw
from tests.methods.networks import network


@pytest.mark.parametrize("name", ["plain", "residual", "vit", "grey", "untraceable"])
def test_the_score_of_the_class_grows(name):
    model = network(name)
    options = {"robustness": False, "canvas": "pixels", "start": "mean"}
    few, many = (
        evaluate_pictures(
            model, model.plan(), "", (0, 3), draw("class_image", model, "", (0, 3), steps=n, **options).pictures
        )
        for n in (1, 40)
    )
    for start, found in zip(few, many, strict=True):
        assert found.reached_mean > start.reached_mean
        assert found.probability > start.probability


def test_several_pictures_of_a_class_are_different():
    pictures = draw("class_image", network("plain"), "", (1,), steps=4, diversity=2).pictures
    assert pictures.shape == (2, 3, 16, 16)
    assert not torch.allclose(pictures[0], pictures[1], atol=0.01)


def test_a_class_that_is_not_there_is_named():
    with pytest.raises(LurkError, match="class must be from 0 to 4, not 5"):
        draw("class_image", network("plain"), "", (5,), steps=1)
