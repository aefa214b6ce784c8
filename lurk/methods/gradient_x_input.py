"""Gradient × input: the derivative of the unit's value with respect to each sample, times that sample.

The products add up to the unit's value only in a network without biases and with ReLU alone. Shrikumar, Greenside and
Kundaje, 2017, arXiv 1704.02685, describe its faults.
"""

from lurk.methods import Map, MapRequest, map_method
from lurk.methods.attribution.backsignal import signal_map


@map_method(
    version=2,
    label="Gradient × input",
    paper="Shrikumar, Greenside, Shcherbina, Kundaje: Not Just a Black Box, 2016, arXiv 1605.01713",
    caution="A pixel of the mean colour gets nothing, whatever it shows; it is noisy, and blank where the unit is not "
    "active.",
    signed=True,
)
def gradient_x_input(request: MapRequest) -> Map:
    """How much each pixel adds to the unit's value, or takes from it, by its own brightness."""
    return Map(signal_map(request) * request.images.float())
