import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import TensorDataset

import lurk

CHANNELS = [1, 2, 4, 6, 13, 24]
SHAPES = [*((channels, 9, 20) for channels in CHANNELS), (1, 20, 9), (4, 12, 12), (6, 1, 16), (13, 20, 9)]


def network(channels: int) -> nn.Sequential:
    torch.manual_seed(channels)
    return nn.Sequential(nn.Conv2d(channels, 5, 3, padding=1), nn.ReLU(), nn.Conv2d(5, 4, 1)).eval()


def samples(shape: tuple[int, int, int]) -> Tensor:
    return torch.rand(11, *shape, generator=torch.Generator().manual_seed(1))


class OfPicture:
    """Makes every channel of a picture's grey, each with its own power, so that no picture has all inputs."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.channels, self.size = shape[0], shape[:0:-1]

    def __call__(self, picture: Image.Image) -> Tensor:
        grey = torch.from_numpy(np.asarray(picture.convert("L").resize(self.size), np.float32) / 255)
        return torch.stack([grey ** (number + 1) for number in range(self.channels)])


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_inputs_of_any_number_of_channels_and_any_size(shape, tmp_path):
    size, net = shape[1:], network(shape[0])
    data = TensorDataset(samples(shape), torch.arange(11) % 2)
    model = lurk.load_model(net, preprocess=OfPicture(shape))
    assert model.input_shape == shape
    assert [(layer.name, layer.shape) for layer in model.layers] == [("0", (5, *size)), ("2", (4, *size))]

    index = lurk.sweep(model, data, cache=tmp_path, top=3)
    with torch.no_grad():
        entering = net[0](data.tensors[0]).double()
    values = entering.relu()
    for unit in range(5):
        record, mine, before = index.unit("0", unit), values[:, unit], entering[:, unit]
        order = sorted(range(11), key=lambda at: (-before[at].max().item(), at))
        assert [hit.image for hit in record.hits_max] == order[:3]
        highest = [mine[at].max().item() for at in order[:3]]
        assert [hit.score for hit in record.hits_max] == pytest.approx(highest, rel=1e-6, abs=1e-7)
        place = divmod(int(before[order[0]].argmax()), size[1])
        assert (record.hits_max[0].row, record.hits_max[0].col) == place
        assert record.mean == pytest.approx(mine.mean().item(), rel=1e-5)
        assert record.std == pytest.approx(mine.std(correction=0).item(), rel=1e-4)

    image = data.tensors[0][4].clone().requires_grad_()
    net(image[None])[0, 2].max().backward()
    drawn = lurk.attribute(model, data.tensors[0][4], "2", 2, method="gradient", target="maximum", device="cpu")
    assert drawn.shape == shape
    assert np.allclose(drawn, image.grad, atol=1e-6)

    picture = lurk.visualize(model, "2", 1, steps=2, device="cpu")
    assert picture.shape == (1, *shape)
    assert np.isfinite(picture).all()
