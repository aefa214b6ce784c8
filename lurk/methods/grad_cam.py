"""Grad-CAM.

With A the activation of channel k of the layer that is read and w_k the mean over all positions of the target's
derivative with respect to A_k, the map is the positive part of the sum of w_k · A_k over the channels, brought to the
size of the image by bilinear interpolation between the middles of the layer's cells.
"""

from lurk.methods import Map, MapRequest, map_method
from lurk.methods.attribution.cam import CAM_LAYER, average, weighted_map


@map_method(
    version=2,
    label="Grad-CAM",
    paper="Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization, 2017, "
    "arXiv 1610.02391",
    caution="As coarse as the layer it reads. Averaged derivatives can light up places that are not used; what speaks "
    "against the target is not shown, so a map may be empty.",
    options=(CAM_LAYER,),
)
def grad_cam(request: MapRequest) -> Map:
    """The region of the image that speaks for the unit or class, found in the maps of one layer."""
    request.report(0, 1)
    values = weighted_map(request, average)
    request.report(1, 1)
    return Map(values)
