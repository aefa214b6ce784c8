"""What the tests of the methods that draw share."""

import torch
from torch import Tensor

import lurk
from lurk.graph.partial_forward import partial_forward
from lurk.methods import METHODS, PictureMethod, PictureRequest, Pictures, ignore_progress


def draw(
    method: str, model: lurk.Model, layer: str, units=(), *, image=None, images=None, show=ignore_progress, **options
):
    entry = METHODS[method]
    assert isinstance(entry, PictureMethod)
    request = PictureRequest(
        model, model.plan(), layer, tuple(units), entry.spec.read(options), image=image, images=images, show=show
    )
    found = entry.run(request)
    assert isinstance(found, Pictures)
    return found


def reached(model: lurk.Model, layer: str, pictures: Tensor) -> Tensor:
    """Activations for pictures of the network's own size, float (f, channels, rows, cols)."""
    with partial_forward(model.plan(), [layer]) as reach, torch.no_grad():
        return reach(model.normalised(pictures))[layer]


def default(method: str, option: str) -> object:
    return METHODS[method].spec.read({})[option]
