import torch
from torch import nn

from lurk.methods.attribution.target import Target
from tests.methods.family import ask, image_of, model_of, small


def test_is_the_units_own_activation_at_full_size():
    model, image = model_of(small), image_of(3, 16, 16)
    values = ask("activation_map", model, image, Target("0", 2)).values
    wanted = torch.relu(model.module[0](image[None]))[0, 2].detach()
    assert torch.allclose(values[0], wanted, atol=1e-6)


def test_keeps_the_units_values_at_the_centres():
    def make():
        return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 5, stride=2), nn.ReLU())

    model, image = model_of(make), image_of(3, 16, 16)
    values = ask("activation_map", model, image, Target("2", 2)).values
    own = model.module(image[None])[0, 2].detach()
    assert own.shape == (6, 6)
    assert torch.allclose(values[0, 2:13:2, 2:13:2], own, atol=1e-6)  # the first window of five has its middle at 2


def test_whatever_the_target_it_is_the_unit():
    model, image = model_of(small), image_of(3, 16, 16)
    one = ask("activation_map", model, image, Target("3", 2)).values
    two = ask("activation_map", model, image, Target("3", 2, "class", label=4)).values
    assert torch.equal(one, two)


def test_a_class_of_a_segmentation_network_is_shown_where_its_scores_lie():
    model, image = (
        model_of(lambda: nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 5, 1))),
        image_of(3, 16, 16),
    )
    model.classes = tuple("abcde")
    values = ask("activation_map", model, image, Target("0", 2, "class", label=3)).values
    assert torch.allclose(values[0], model.module(image[None])[0, 3].detach(), atol=1e-6)
