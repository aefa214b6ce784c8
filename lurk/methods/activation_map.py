"""Where in the image the unit is active.

The unit's own activation, after the normalisation and activation function that follow it, spread over the image: each
position lies at the centre of its receptive field, bilinear between them, and goes on flat to the border of the image.
Where the receptive field is the whole image the positions tile the image. Whatever the target, it is the shown unit.

Misleads: a position answers for its whole receptive field, which is often far larger than the spot that is lit.

Paper: Zhou et al., 2015, arXiv 1412.6856; Bau et al., 2017, arXiv 1704.05796 (the place of a position).
"""

from lurk.method_spec import MethodSpec
from lurk.methods import METHODS, Map, MapMethod, MapRequest
from lurk.methods.attribution.cam import unit_map

OFFER = MethodSpec(
    name="activation_map",
    label="Activation map",
    shows="Where in the image the unit is active.",
    gives="map",
    needs=("layer", "unit", "image"),
    paper="Zhou et al., Object Detectors Emerge in Deep Scene CNNs, 2015, arXiv 1412.6856",
    version=1,
    signed=True,
    caution="A position answers for its whole receptive field, which is often far larger than the spot that is lit.",
)


def run(request: MapRequest) -> Map:
    """Spread the unit's activation over the image.

    Args:
        request: What is asked for.

    Returns:
        float32 (1, h, w).
    """
    request.report(0, 1)
    values = unit_map(request.plan, request.target.layer, request.target.unit, request.image)
    request.report(1, 1)
    return Map(values)


METHODS.register("activation_map")(MapMethod(OFFER, run))
