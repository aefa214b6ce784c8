"""The gradient: the derivative of the unit's value with respect to each sample of the image."""

from lurk.methods import Map, MapRequest, map_method
from lurk.methods.attribution.backsignal import signal_map


@map_method(
    version=2,
    label="Gradient",
    paper="Simonyan, Vedaldi, Zisserman: Deep Inside Convolutional Networks, 2013, arXiv 1312.6034",
    caution="It is noisy, it tells what would change the value and not what made it, and it is blank where the unit is "
    "not active.",
    signed=True,
)
def gradient(request: MapRequest) -> Map:
    """Which pixels would change the unit's value most, were they a little brighter or darker."""
    return Map(signal_map(request))
