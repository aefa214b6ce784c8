"""Deconvnet.

The signal goes back through the network's own filters and max-pooling switches, and is rectified at every non-linearity
on its way, whatever the image did there. The map is blank if the unit's value is exactly 0.
"""

from lurk.methods import Map, MapRequest, map_method
from lurk.methods.attribution.backsignal import refuse_unclear_rectifiers, signal_map


@map_method(
    version=2,
    label="Deconvnet",
    paper="Zeiler, Fergus: Visualizing and Understanding Convolutional Networks, 2014, arXiv 1311.2901",
    caution="It draws edges that hardly depend on the trained weights (Adebayo et al., 2018, arXiv 1810.03292), and "
    "without max pooling hardly on the image: sharp does not mean true.",
    signed=True,
    refuse=refuse_unclear_rectifiers,
)
def deconvnet(request: MapRequest) -> Map:
    """The pattern in the image that the unit answered to, projected back through the network."""
    return Map(signal_map(request, "deconvnet"))
