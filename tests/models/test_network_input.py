import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import lurk
from lurk.errors import LurkError
from lurk.models.network_input import image_for


@pytest.fixture(scope="module")
def model() -> lurk.Model:
    def grey(picture: Image.Image) -> torch.Tensor:
        return torch.from_numpy(np.asarray(picture.convert("L").resize((6, 5)), np.float32))[None]

    return lurk.load_model(nn.Conv2d(1, 2, 3), preprocess=grey)


def test_an_image_becomes_a_copy_of_the_networks_type(model):
    image = torch.rand(1, 5, 6, dtype=torch.float64, requires_grad=True)
    for given in (image, image.detach().numpy(), image.half()):
        found = image_for(model, given, None)
        assert (found.dtype, tuple(found.shape), found.requires_grad) == (torch.float32, (1, 5, 6), False)
    assert image_for(model, None, None) is None


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (b"abc", "^an image is a tensor, an array, a PIL picture, a file or a hit, not bytes$"),
        (0, "a file or a hit, not int$"),
        ([[1.0]], "a file or a hit, not list$"),
        (torch.zeros(1, 1, 5, 6), r"the image is \(1, 1, 5, 6\) after preprocessing; the model takes \(1, 5, 6\)"),
        (torch.full((1, 5, 6), torch.nan), "^the image holds NaN or infinity after preprocessing$"),
        ("/", "image '/': is a folder"),
    ],
)
def test_what_is_no_image_is_told_in_one_line(model, image, reason):
    with pytest.raises(LurkError, match=reason):
        image_for(model, image, None)
