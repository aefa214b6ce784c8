"""How much each pixel, by its own value, adds to the unit's value: the derivative times the image.

It misleads by its zero: a pixel of the colour that preprocessing turns into 0 gets nothing, whatever it shows, and the
products add up to the unit's value only in a network without biases and with ReLU alone. Shrikumar, Greenside,
Shcherbina and Kundaje, 2016, arXiv 1605.01713; its faults: Shrikumar, Greenside and Kundaje, 2017, arXiv 1704.02685.
"""

from lurk.method_spec import MethodSpec
from lurk.methods import METHODS, Map, MapMethod, MapRequest
from lurk.methods.attribution.backsignal import sent_back
from lurk.methods.attribution.target import settled

OFFER = MethodSpec(
    name="gradient_x_input",
    label="Gradient × input",
    shows="How much each pixel adds to the unit's value, or takes from it, by its own brightness.",
    gives="map",
    needs=("layer", "unit", "image"),
    signed=True,
    paper="Shrikumar, Greenside, Shcherbina, Kundaje: Not Just a Black Box, 2016, arXiv 1605.01713",
    version=1,
    caution="A pixel of the mean colour gets nothing, whatever it shows; it is noisy, and blank where the unit is not "
    "active.",
)


def run(request: MapRequest) -> Map:
    """The derivative of the target by each sample of the image, times that sample as the network takes it.

    Args:
        request: What is asked for.

    Returns:
        The map, float32 (c, h, w), signed.
    """
    target = settled(request.plan, request.target, request.image)
    gradient = sent_back(request.plan, target, request.image[None])[0]
    request.report(1, 1)
    return Map(gradient * request.image.float())


METHODS.register("gradient_x_input")(MapMethod(OFFER, run))
