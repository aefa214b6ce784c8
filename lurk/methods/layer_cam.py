"""The places of the image that speak for the unit or class, weighed place by place in the maps of one layer.

With A the activation of the layer that is read and G the target's derivative with respect to it, the map is the
positive part of the sum over the channels of max(G, 0) · A, brought to the size of the image by bilinear
interpolation between the middles of the layer's cells. Unlike Grad-CAM every place has a weight of its own, so it is
usable in early layers, whose maps are fine.

Misleads: only derivatives above 0 count, so a place that matters by holding the target back is not shown; in early
layers it follows edges whatever the target.

Paper: Jiang et al., 2021, doi 10.1109/TIP.2021.3089943 (no arXiv number).
"""

from lurk.method_spec import MethodSpec
from lurk.methods import METHODS, Map, MapMethod, MapRequest
from lurk.methods.attribution.cam import AT, read, resized

OFFER = MethodSpec(
    name="layer_cam",
    label="LayerCAM",
    shows="The places of the image that speak for the unit or class, weighed place by place in the maps of one layer.",
    gives="map",
    needs=("layer", "unit", "image"),
    paper="Jiang et al., LayerCAM: Exploring Hierarchical Class Activation Maps for Localization, 2021, "
    "doi 10.1109/TIP.2021.3089943",
    version=1,
    caution="Only derivatives above 0 count: what holds the target back is not shown. In early layers it follows "
    "edges, whatever the target.",
    options=(AT,),
)


def run(request: MapRequest) -> Map:
    """Weigh each position of the layer by its own positive derivative.

    Args:
        request: What is asked for.

    Returns:
        float32 (1, h, w), never negative.
    """
    request.report(0, 1)
    found = read(request.plan, request.target, request.image, str(request.options["at"]))
    cam = (found.gradient.clamp(min=0) * found.activation).sum(0, keepdim=True).clamp(min=0)
    height, width = request.image.shape[1:]
    request.report(1, 1)
    return Map(resized(cam.float(), (height, width)))


METHODS.register("layer_cam")(MapMethod(OFFER, run))
