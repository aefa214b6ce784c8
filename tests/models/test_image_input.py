import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

import lurk
from lurk.errors import LayerError, ModelError
from lurk.models.image_input import other_input

SHAPE = (3, 32, 32)


class Base(nn.Module):
    """Class scores of one batch of images, without a forward pass of its own."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)

    def scores(self, x: Tensor) -> Tensor:
        return self.head(self.conv(x).relu().mean((2, 3)))


class Two(Base):
    def forward(self, x, y):
        return self.scores(x) + self.scores(y)


class Keyword(Base):
    def forward(self, x, *, y):
        return self.scores(x) + self.scores(y)


class KeywordOnly(Base):
    def forward(self, *, image):
        return self.scores(image)


class NoInput(Base):
    def forward(self):
        return self.head.bias


class DefaultFails(Base):
    def forward(self, x, y=None):
        return self.scores(x) + self.scores(y)


class Keys(Base):
    def forward(self, batch):
        return self.scores(batch["image"]) + self.scores(batch["depth"])


class Get(Base):
    def forward(self, batch):
        return self.scores(batch.get("image"))


class Attribute(Base):
    def forward(self, batch):
        return self.scores(batch.image)


class Tuple(Base):
    def forward(self, pair):
        x, y = pair
        return self.scores(x) + self.scores(y)


class Any(Base):
    def forward(self, *inputs):
        return self.scores(inputs[0]) + self.scores(inputs[1])


class List(Base):
    def forward(self, images):
        if not isinstance(images, list):
            raise TypeError("expected a list")
        return torch.cat([self.scores(image[None]) for image in images])


class ListAsDetectorsCheck(Base):
    def forward(self, images, targets=None):
        assert isinstance(images, list), "expected a list"
        return self.scores(torch.stack(images))


REFUSED = {
    Two: "also needs y",
    Keyword: "also needs y",
    KeywordOnly: "takes keywords only (image)",
    NoInput: "takes no input",
    DefaultFails: "fails without y",
    Keys: "reads image, depth from what it is given",
    Get: "reads image from what it is given",
    Attribute: "reads image from what it is given",
    Tuple: "takes several inputs as one tuple",
    Any: "takes 2 inputs",
    List: "takes a list of images; wrap it in a module whose forward(images) returns network(list(images))",
    ListAsDetectorsCheck: "takes a list of images",
}


class AnyButFirst(Base):
    def forward(self, *inputs, **_options):
        return self.scores(inputs[0])


class Default(Base):
    def forward(self, x, y=None, *, mask=None):
        return self.scores(x)


class Flat(nn.Module):
    """Takes images of 32 pixels only, by a forward pass that hands on whatever it is given."""

    def __init__(self):
        super().__init__()
        self.network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 30 * 30, 2))

    def forward(self, *inputs, **options):
        return self.network(*inputs, **options)


class AddsItself(Base):
    """Its signature names an input that a hook fills in."""

    def __init__(self):
        super().__init__()
        self.register_forward_pre_hook(lambda _, given: (given[0], given[0]))

    forward = Two.forward


class Wrapped(nn.Module):
    """What the refusal of a network that takes a list advises."""

    def __init__(self):
        super().__init__()
        self.network = ListAsDetectorsCheck()

    def forward(self, images):
        return self.network(list(images))


@pytest.mark.parametrize("kind", REFUSED, ids=lambda kind: kind.__name__)
def test_other_inputs_are_named_with_what_to_do(kind):
    network = kind().eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    message = other_input(network, SHAPE)
    assert message.startswith("the model does not take one batch of images: its forward ")
    assert REFUSED[kind] in message
    assert "\n" not in message
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("kind", REFUSED, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("given", [{}, {"input_shape": SHAPE}], ids=["at loading", "at planning"])
def test_a_network_with_other_inputs_is_refused_in_one_line(kind, given):
    with pytest.raises(ModelError) as caught:
        _ = lurk.load_model(kind(), **given).layers
    assert REFUSED[kind] in str(caught.value)


@pytest.mark.parametrize("kind", [AnyButFirst, Default, Flat, AddsItself, Wrapped])
def test_a_network_that_runs_on_one_batch_is_taken(kind):
    model = lurk.load_model(kind())
    assert other_input(model.module, model.input_shape) == ""
    assert any(layer.name.endswith("conv") or layer.name == "network.0" for layer in model.layers)


def test_a_network_wrapped_as_advised_has_the_maps_and_scores_of_plain_torch(tmp_path):
    network = Wrapped().eval()
    model = lurk.load_model(network, input_shape=SHAPE)
    images = torch.rand(5, *SHAPE, generator=torch.Generator().manual_seed(0))
    index = lurk.sweep(model, TensorDataset(images, torch.arange(5) % 2), cache=tmp_path)
    with torch.no_grad():
        highest = network.network.conv(images).amax((2, 3))  # its graph cannot be traced: raw taps
    for unit in range(4):
        hit = index.unit("network.conv", unit).hits_max[0]
        assert (hit.image, hit.score) == (int(highest[:, unit].argmax()), pytest.approx(float(highest[:, unit].max())))
    image = images[3].clone().requires_grad_()
    network.network.conv(image[None])[0, 2].max().backward()
    drawn = lurk.attribute(model, images[3], "network.conv", 2, method="gradient", device="cpu")
    assert np.allclose(drawn, image.grad, atol=1e-6)


def test_a_network_that_runs_on_its_images_one_by_one_is_refused_in_one_line():
    class OneByOne(Wrapped):
        def __init__(self):
            super().__init__()
            self.network = List()

    with pytest.raises(LayerError, match="gives a value for each image of a batch"):
        _ = lurk.load_model(OneByOne()).layers


def test_a_network_that_takes_another_size_is_not_said_to_take_other_inputs():
    assert other_input(Flat().eval(), (3, 20, 20)) == ""


def test_a_lazy_network_stays_lazy():
    class Lazy(Two):
        def __init__(self):
            super().__init__()
            self.conv = nn.LazyConv2d(4, 3)

    network = Lazy().eval()
    with pytest.raises(ModelError, match="also needs y"):
        lurk.load_model(network)
    with pytest.raises(ModelError, match=r"^the model does not take one batch of images: its forward also needs y; "):
        lurk.load_model(network, input_shape=SHAPE)
    assert isinstance(network.conv, nn.LazyConv2d)
