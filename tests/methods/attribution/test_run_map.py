import pytest
import torch
from torch import nn

import lurk
from lurk.methods import METHODS, MapRequest
from lurk.methods.attribution.run_map import images_together, most_probable_classes, run_map_method
from lurk.methods.attribution.target import Target
from tests.methods.family import image_of, model_of, seeded, small
from tests.methods.networks import network


def test_images_are_explained_together_as_far_as_the_memory_allows():
    model = model_of(small)
    values = sum(torch.Size(layer.shape).numel() for layer in model.plan().layers)
    assert images_together(METHODS["lrp"], model.plan(), 16 * values * 5) == 5
    assert images_together(METHODS["lrp"], model.plan(), 1) == 1
    assert images_together(METHODS["smoothgrad"], model.plan()) == 1  # it runs the network many times for each


def test_images_are_explained_alone_where_a_batch_may_differ():
    class Mixing(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)

        def forward(self, x):
            x = self.one(x)
            return self.two(x - x.mean(0, keepdim=True))

    mixing = model_of(Mixing).plan()
    half = lurk.load_model(seeded(small).to(torch.bfloat16), input_shape=(3, 16, 16)).plan()
    assert mixing.left_out == ("two",)
    for plan in (mixing, half, network("untraceable").plan()):
        assert images_together(METHODS["gradient"], plan) == 1


def test_parts_are_put_together_in_their_order_with_notes_and_progress(monkeypatch):
    model, said = model_of(small), []
    images = image_of(5, 3, 16, 16)
    images[3] = -9  # the unit is off
    request = MapRequest(
        model, model.plan(), images, Target("6", 1), {}, report=lambda *progress: said.append(progress)
    )
    whole = run_map_method(METHODS["gradient"], request)
    monkeypatch.setattr("lurk.methods.attribution.run_map.images_together", lambda *_: 2)
    said.clear()
    parts = run_map_method(METHODS["gradient"], request)
    assert torch.allclose(parts.values, whole.values, atol=1e-6)
    assert parts.notes == whole.notes
    assert said == [(1, 3), (2, 3), (3, 3)]


def test_each_image_has_its_own_most_probable_class():
    model, images = model_of(small), 5 * image_of(3, 3, 16, 16)
    with torch.no_grad():
        assert most_probable_classes(model.plan(), images) == tuple(model.module(images).argmax(1).tolist())


@pytest.mark.parametrize("several", [list, torch.stack])
def test_attribute_takes_several_images(several):
    model, images = model_of(small), [image_of(3, 16, 16, seed=seed) for seed in range(3)]
    found = lurk.attribute(model, several(images), "6", 1, method="guided_backprop", target="class")
    assert found.shape == (3, 3, 16, 16)
    for image, one in zip(images, found, strict=True):
        alone = lurk.attribute(model, image, "6", 1, method="guided_backprop", target="class")
        assert abs(one - alone).max() <= 1e-5 * abs(alone).max()
