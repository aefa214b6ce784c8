"""Guided Grad-CAM: guided backprop of the target (Springenberg et al., 2015) times Grad-CAM of the same target.

A product looks sharp wherever Grad-CAM is broad.
"""

from lurk.methods import Map, MapRequest, map_method
from lurk.methods.attribution.backsignal import refuse_unclear_rectifiers, target_signal
from lurk.methods.attribution.cam import CAM_LAYER, average, weighted_map


@map_method(
    version=2,
    label="Guided Grad-CAM",
    paper="Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization, 2017, "
    "arXiv 1610.02391",
    caution="Guided backprop follows edges of the image almost whatever the weights are: fine detail here is no proof "
    "that the network uses it.",
    signed=True,
    options=(CAM_LAYER,),
    refuse=refuse_unclear_rectifiers,
)
def guided_grad_cam(request: MapRequest) -> Map:
    """The fine detail of guided backprop, kept only in the region that Grad-CAM finds."""
    request.report(0, 2)
    cam = weighted_map(request, average)
    request.report(1, 2)
    guided = target_signal(request.plan, request.target, request.images, "guided", request.passes)
    request.report(2, 2)
    return Map(guided * cam)
