"""How much each pixel adds to the unit's value on the way from an empty image to this one: integrated gradients.

Its values add up to the difference between the unit's value in the image and in the baseline. It misleads by its
baseline: a pixel that has the baseline's colour gets nothing, whatever it shows. Sundararajan, Taly and Yan, 2017,
arXiv 1703.01365. The integral is captum's, which is right for every network: it asks for the forward pass alone.
"""

import numpy as np
import torch
from torch import Tensor

from lurk.method_spec import MethodSpec, Option
from lurk.methods import METHODS, Map, MapMethod, MapRequest
from lurk.methods.attribution.target import explaining, settled
from lurk.models.model import Model

BATCH = 8
BASELINES = {"black": 0.0, "grey": 0.5, "white": 1.0}

OFFER = MethodSpec(
    name="integrated_gradients",
    label="Integrated gradients",
    shows="How much each pixel adds to the unit's value on the way from an empty image to this one.",
    gives="map",
    needs=("layer", "unit", "image"),
    signed=True,
    paper="Sundararajan, Taly, Yan: Axiomatic Attribution for Deep Networks, 2017, arXiv 1703.01365",
    version=1,
    caution="A pixel that has the colour of the baseline gets nothing, whatever it shows.",
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


def run(request: MapRequest) -> Map:
    """The integral of the derivatives along the straight way from the baseline, times the way, by Gauss and Legendre.

    Args:
        request: What is asked for.

    Returns:
        The map, float32 (c, h, w), signed; beside it `ends`, the unit's value in the baseline and in the image: the sum
        of the map is their difference, but for what the steps leave out.
    """
    from captum.attr import IntegratedGradients  # type: ignore[import-untyped]  # captum brings no types

    steps, done = int(request.options["steps"] or 0), 0
    target = settled(request.plan, request.target, request.image)
    with explaining(request.plan, target, through_bound=False) as forward:
        image = request.image.detach().float()[None]
        baseline = baseline_of(request.model, image, str(request.options["baseline"]))

        def numbers(batch: Tensor) -> Tensor:
            nonlocal done
            values, _ = forward(batch)
            done += len(batch)
            request.report(min(done, steps), steps)
            return values if values.requires_grad else values + 0 * batch.sum((1, 2, 3))

        values = IntegratedGradients(numbers).attribute(image, baseline, n_steps=steps, internal_batch_size=BATCH)
        with torch.no_grad():
            ends, _ = forward(torch.cat([baseline, image]))
    return Map(values[0].float(), {"ends": ends.float().cpu().numpy().astype(np.float32)})


def baseline_of(model: Model, image: Tensor, name: str) -> Tensor:
    """The empty image of a name, of the shape of a preprocessed image."""
    if name == "mean":
        return torch.zeros_like(image)
    return model.normalised(torch.full_like(image, BASELINES[name]))


METHODS.register("integrated_gradients")(MapMethod(OFFER, run))
