"""The fine detail of guided backprop, kept only in the region that Grad-CAM finds.

The product of two maps: guided backprop of the target (a signal of 1 from the target back to the pixels, of which
each rectifier lets through what is positive above and below it) and Grad-CAM of the same target, brought to the size
of the image by bilinear interpolation.

Misleads: guided backprop follows edges of the image almost whatever the weights are, and a product looks sharp
wherever Grad-CAM is broad; it is the weakest of the family in the sanity check with randomised weights.

Paper: Selvaraju et al., 2017, arXiv 1610.02391; Springenberg et al., 2015, arXiv 1412.6806.
"""

import torch

from lurk.graph.device import device_of
from lurk.graph.plan import Plan
from lurk.method_spec import MethodSpec
from lurk.methods import METHODS, Map, MapMethod, MapRequest
from lurk.methods.attribution.backsignal import back
from lurk.methods.attribution.cam import AT, read, resized
from lurk.methods.attribution.rectifiers import refusal
from lurk.methods.attribution.target import Target, explaining
from lurk.models.model import Model

OFFER = MethodSpec(
    name="guided_grad_cam",
    label="Guided Grad-CAM",
    shows="The fine detail of guided backprop, kept only in the region that Grad-CAM finds.",
    gives="map",
    needs=("layer", "unit", "image"),
    paper="Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization, 2017, "
    "arXiv 1610.02391",
    version=1,
    signed=True,
    caution="Guided backprop follows edges of the image almost whatever the weights are: fine detail here is no proof "
    "that the network uses it.",
    options=(AT,),
)


def run(request: MapRequest) -> Map:
    """Multiply guided backprop by Grad-CAM.

    Args:
        request: What is asked for.

    Returns:
        float32 (c, h, w).
    """
    request.report(0, 2)
    batch = request.image[None].detach().clone().requires_grad_()
    with explaining(request.plan, request.target) as forward:
        numbers, _ = forward(batch)
        guided = back(numbers, batch, "guided")[0]
    request.report(1, 2)
    found = read(request.plan, request.target, request.image, str(request.options["at"]))
    weights = found.gradient.mean((1, 2), keepdim=True)
    cam = (weights * found.activation).sum(0, keepdim=True).clamp(min=0)
    height, width = request.image.shape[1:]
    request.report(2, 2)
    return Map((guided * resized(cam, (height, width))).float())


def refuse(model: Model, plan: Plan) -> str:
    """Say why guided backprop is not defined for a model; empty where it is."""
    last = plan.layers[-1]
    batch = torch.zeros(1, *plan.input_shape, device=device_of(model.module), dtype=model.dtype).requires_grad_()
    with explaining(plan, Target(last.name, 0)) as forward:
        return refusal(forward(batch)[0])


METHODS.register("guided_grad_cam")(MapMethod(OFFER, run, refuse))
