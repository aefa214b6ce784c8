"""Which pixels would change the unit's value most, were they a little brighter: the derivative of the unit's value.

It misleads by its noise: the derivative of a deep network jumps from pixel to pixel, and where the unit is not active
it is 0, whatever the image shows. Simonyan, Vedaldi and Zisserman, 2013, arXiv 1312.6034.
"""

from lurk.method_spec import MethodSpec
from lurk.methods import METHODS, Map, MapMethod, MapRequest
from lurk.methods.attribution.backsignal import sent_back
from lurk.methods.attribution.target import settled

OFFER = MethodSpec(
    name="gradient",
    label="Gradient",
    shows="Which pixels would change the unit's value most, were they a little brighter or darker.",
    gives="map",
    needs=("layer", "unit", "image"),
    signed=True,
    paper="Simonyan, Vedaldi, Zisserman: Deep Inside Convolutional Networks, 2013, arXiv 1312.6034",
    version=1,
    caution="It is noisy, it tells what would change the value and not what made it, and it is blank where the unit is "
    "not active.",
)


def run(request: MapRequest) -> Map:
    """The derivative of the target by each sample of the image; a unit's own upper bound, as of ReLU6, lets it through.

    Args:
        request: What is asked for.

    Returns:
        The map, float32 (c, h, w), signed.
    """
    target = settled(request.plan, request.target, request.image)
    values = sent_back(request.plan, target, request.image[None])[0]
    request.report(1, 1)
    return Map(values)


METHODS.register("gradient")(MapMethod(OFFER, run))
