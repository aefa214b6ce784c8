"""Integrated gradients: the derivatives along the straight way from a baseline to the image, times the way.

The values add up to the difference between the unit's value in the image and in the baseline, but for what the steps
leave out. The integral, by Gauss and Legendre, is captum's, which is right for every network: it needs the forward pass
alone.
"""

import numpy as np
import torch
from torch import Tensor

from lurk.method_spec import Option
from lurk.methods import Map, MapRequest, map_method
from lurk.methods.attribution.target import forward_to, locate_maximum
from lurk.models.model import Model

BATCH = 8
BASELINES = {"black": 0.0, "grey": 0.5, "white": 1.0}


@map_method(
    many_passes=True,
    version=2,
    label="Integrated gradients",
    paper="Sundararajan, Taly, Yan: Axiomatic Attribution for Deep Networks, 2017, arXiv 1703.01365",
    caution="A pixel that has the colour of the baseline gets nothing, whatever it shows.",
    signed=True,
    options=(
        Option("steps", 50, "Images on the way from the baseline to the image.", 2, 1000),
        Option(
            "baseline",
            "black",
            "The empty image: black, grey or white, or mean, the colour that preprocessing turns into 0.",
            choices=(*BASELINES, "mean"),
        ),
    ),
)
def integrated_gradients(request: MapRequest) -> Map:
    """How much each pixel adds to the unit's value on the way from an empty image to this one."""
    from captum.attr import IntegratedGradients  # type: ignore[import-untyped]  # captum brings no types

    steps, done = request.options["steps"], 0
    target = locate_maximum(request.plan, request.target, request.images)
    with forward_to(request.plan, target, through_bound=False) as forward:
        image = request.images.detach().float()
        baseline = baseline_of(request.model, image, request.options["baseline"])

        def numbers(batch: Tensor) -> Tensor:
            nonlocal done
            values, _ = forward(batch)
            done += len(batch)
            request.report(min(done, steps), steps)
            return values if values.requires_grad else values + 0 * batch.sum((1, 2, 3))

        values = IntegratedGradients(numbers).attribute(image, baseline, n_steps=steps, internal_batch_size=BATCH)
        with torch.no_grad():  # the unit's value in the baseline and in the image
            ends, _ = forward(torch.cat([baseline, image]))
    return Map(values.float(), {"ends": ends[None].float().cpu().numpy().astype(np.float32)})


def baseline_of(model: Model, image: Tensor, name: str) -> Tensor:
    """Return the empty image of a name, of the shape of a preprocessed image."""
    if name == "mean":
        return torch.zeros_like(image)
    shape = (model.normalisation.samples, *image.shape[-2:])
    return model.normalised(image.new_full(shape, BASELINES[name])).expand_as(image)
