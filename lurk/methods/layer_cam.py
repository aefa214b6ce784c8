"""LayerCAM.

With A the activation of the layer that is read and G the target's derivative with respect to it, the map is the
positive part of the sum over the channels of max(G, 0) · A, brought to the size of the image by bilinear
interpolation between the middles of the layer's cells. Unlike in Grad-CAM every place has a weight of its own, so it is
usable in early layers, whose maps are fine.
"""

from lurk.methods import Map, MapRequest, map_method
from lurk.methods.attribution.cam import CAM_LAYER, weighted_map


@map_method(
    version=2,
    label="LayerCAM",
    paper="Jiang et al., LayerCAM: Exploring Hierarchical Class Activation Maps for Localization, 2021, "
    "doi 10.1109/TIP.2021.3089943",
    caution="Only derivatives above 0 count: what holds the target back is not shown. In early layers it follows "
    "edges, whatever the target.",
    options=(CAM_LAYER,),
)
def layer_cam(request: MapRequest) -> Map:
    """The places of the image that speak for the unit or class, weighed place by place in the maps of one layer."""
    request.report(0, 1)
    values = weighted_map(request, lambda gradient: gradient.clamp(min=0))
    request.report(1, 1)
    return Map(values)
