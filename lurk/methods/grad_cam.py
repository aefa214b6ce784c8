"""The region of the image that speaks for the unit or class, found in the maps of one layer.

With A the activation of channel k of the layer that is read and w_k the mean over all positions of the target's
derivative with respect to A_k, the map is the positive part of the sum of w_k · A_k over the channels, brought to the
size of the image by bilinear interpolation between the middles of the layer's cells.

Misleads: it is as coarse as the layer; averaging the derivatives can light up places that the target does not use;
what speaks against the target is not shown, so a map may be empty.

Paper: Selvaraju et al., 2017, arXiv 1610.02391.
"""

from lurk.method_spec import MethodSpec
from lurk.methods import METHODS, Map, MapMethod, MapRequest
from lurk.methods.attribution.cam import AT, read, resized

OFFER = MethodSpec(
    name="grad_cam",
    label="Grad-CAM",
    shows="The region of the image that speaks for the unit or class, found in the maps of one layer.",
    gives="map",
    needs=("layer", "unit", "image"),
    paper="Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization, 2017, "
    "arXiv 1610.02391",
    version=1,
    caution="As coarse as the layer it reads. Averaged derivatives can light up places that are not used; what speaks "
    "against the target is not shown, so a map may be empty.",
    options=(AT,),
)


def run(request: MapRequest) -> Map:
    """Weigh each map of the layer by its mean derivative.

    Args:
        request: What is asked for.

    Returns:
        float32 (1, h, w), never negative.
    """
    request.report(0, 1)
    found = read(request.plan, request.target, request.image, str(request.options["at"]))
    weights = found.gradient.mean((1, 2), keepdim=True)
    cam = (weights * found.activation).sum(0, keepdim=True).clamp(min=0)
    height, width = request.image.shape[1:]
    request.report(1, 1)
    return Map(resized(cam.float(), (height, width)))


METHODS.register("grad_cam")(MapMethod(OFFER, run))
