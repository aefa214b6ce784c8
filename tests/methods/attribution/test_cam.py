import pytest
import torch
from torch import nn
from torch.nn import functional

from lurk.errors import LayerError
from lurk.graph.hooks import frozen
from lurk.methods import MapRequest
from lurk.methods.attribution.cam import read_layer, resize_map, spread_positions, unit_map
from lurk.methods.attribution.target import Target
from lurk.records import LayerInfo
from tests.methods.family import Functional, image_of, model_of, small


def test_resized_is_bilinear_interpolation():
    values = image_of(2, 5, 7)
    wanted = functional.interpolate(values[None], (33, 20), mode="bilinear", align_corners=False)[0]
    assert torch.allclose(resize_map(values, (33, 20)), wanted, atol=1e-5)


def test_each_position_is_spread_from_the_middle_of_its_receptive_field():
    layer = LayerInfo("x", "Conv2d", 1, (1, 3, 4), (5, 3), (2, 2), "post", offset=(-2, 0), grid=(3, 4))
    values = image_of(1, 3, 4)
    spread = spread_positions(values, (8, 12), layer)
    for row in range(3):
        for col in range(4):
            top, left, bottom, right = layer.box(row, col, (8, 12))
            middle = ((top + bottom - 1) // 2, (left + right - 1) // 2)
            assert torch.isclose(spread[0, middle[0], middle[1]], values[0, row, col], atol=1e-6)
    assert torch.equal(spread[0, :, 0], spread[0, :, 1])
    assert torch.equal(spread[0, -1], spread[0, 4])


def test_positions_tile_the_image_where_the_receptive_field_is_global():
    layer = LayerInfo("x", "Conv2d", 1, (1, 3, 4), None, None, "post", grid=(3, 4))
    values = image_of(1, 3, 4)
    assert torch.equal(spread_positions(values, (9, 8), layer), resize_map(values, (9, 8)))


def test_unit_map_lights_the_spot_that_the_unit_saw():
    model = model_of(small)
    image = torch.zeros(3, 16, 16)
    image[:, 4, 11] = 1
    seen, empty = (
        unit_map(MapRequest(model, model.plan(), one[None], Target("0", 0), {}))[0]
        for one in (image, torch.zeros(3, 16, 16))
    )
    spot = (seen - empty)[0]
    rows, cols = spot.nonzero().T
    assert len(rows)
    assert {int(rows.min()), int(rows.max())} <= {3, 4, 5}
    assert {int(cols.min()), int(cols.max())} <= {10, 11, 12}


@pytest.mark.parametrize(
    ("target", "wanted"),
    [
        (Target("3", 1), "0"),
        (Target("6", 1, "map"), "3"),
        (Target("3", 0, "class", label=2), "3"),
        (Target("10", 0, "class", label=2), "6"),
        (Target("10", 0), "6"),
    ],
)
def test_a_unit_is_explained_by_the_layer_before_and_a_class_by_its_own(target, wanted):
    model = model_of(small, (3, 24, 24))
    with frozen(model.module):
        found = read_layer(model.plan(), target, image_of(1, 3, 24, 24))
    assert found.layer == wanted
    assert found.activation.shape == found.gradient.shape


def test_a_layer_that_the_unit_does_not_depend_on_is_passed_over():
    class Branches(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = torch.nn.Conv2d(3, 4, 3)
            self.side = torch.nn.Conv2d(4, 4, 3)
            self.main = torch.nn.Conv2d(4, 4, 3)

        def forward(self, x):
            x = self.first(x)
            return torch.cat([self.side(x), self.main(x)], 1).mean((2, 3))

    model = model_of(Branches)
    with frozen(model.module):
        assert read_layer(model.plan(), Target("main", 0), image_of(1, 3, 16, 16)).layer == "first"
        with pytest.raises(
            LayerError, match=r"not computed from layer 'side'; layers before it, nearest first: first$"
        ):
            read_layer(model.plan(), Target("main", 0), image_of(1, 3, 16, 16), "side")


def test_the_first_layer_has_nothing_before_it():
    model = model_of(small)
    with frozen(model.module), pytest.raises(LayerError, match="no layer with more than one position comes before"):
        read_layer(model.plan(), Target("0", 0), image_of(1, 3, 16, 16))


def test_the_gradient_is_that_of_the_target_by_the_layer():
    model = model_of(Functional)
    image, module = image_of(3, 16, 16), model.module
    with frozen(module):
        found = read_layer(model.plan(), Target("one", 0, "class", label=3), image[None])
        inner = functional.relu(module.one(image[None])).requires_grad_()
        x = functional.max_pool2d(inner, 2)
        score = module.head(functional.relu(module.three(functional.relu(module.two(x))) + x).mean((2, 3)))[0, 3]
        (wanted,) = torch.autograd.grad(score, inner)
    assert torch.allclose(found.gradient[0], wanted[0], atol=1e-6)
    assert torch.allclose(found.activation[0], inner[0].detach(), atol=1e-6)
    assert torch.isclose(found.numbers[0], score.detach(), atol=1e-6)


class Mixer(nn.Module):
    """Mixes the positions of each channel, then the channels of each position (Tolstikhin et al., 2021)."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.across, self.along = nn.Conv2d(3, 6, 4, 4), nn.Linear(16, 12), nn.Linear(12, 16)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        x = self.patches(x).flatten(2)
        return self.head((x + self.along(functional.relu(self.across(x)))).mean(2))


class Deep(nn.Module):
    """Takes the channels of an image for its depth."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv3d(1, 4, (2, 3, 3), padding=(0, 1, 1)), nn.Linear(4, 3)

    def forward(self, x):
        return self.head(functional.relu(self.conv(x[:, None])).mean((2, 3, 4)))


@pytest.mark.parametrize(("make", "layer", "before"), [(Mixer, "across", "patches"), (Deep, "conv", None)])
def test_no_map_is_drawn_of_positions_whose_place_in_the_image_is_not_known(make, layer, before):
    model = model_of(make)
    request = MapRequest(model, model.plan(), image_of(1, 3, 16, 16), Target(layer, 0), {})
    with pytest.raises(LayerError, match=f"where the positions of layer {layer} .* lie in the image is not known"):
        unit_map(request)
    score = Target("head", 0, "class")
    with pytest.raises(LayerError, match="is not known"):
        read_layer(model.plan(), score, request.images, layer)
    if before is None:
        with pytest.raises(LayerError, match="no layer with more than one position"):
            read_layer(model.plan(), score, request.images)
    else:
        assert read_layer(model.plan(), score, request.images).layer == before
