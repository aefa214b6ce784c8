"""Guided backpropagation.

The signal goes back as the derivative does, but at every non-linearity only what is above 0 goes on, and only where the
image let it through.
"""

from lurk.methods import Map, MapRequest, map_method
from lurk.methods.attribution.backsignal import refuse_unclear_rectifiers, signal_map


@map_method(
    version=2,
    label="Guided backprop",
    paper="Springenberg, Dosovitskiy, Brox, Riedmiller: Striving for Simplicity, 2015, arXiv 1412.6806",
    caution="It draws edges that hardly depend on the trained weights (Adebayo et al., 2018, arXiv 1810.03292): sharp "
    "does not mean true.",
    signed=True,
    refuse=refuse_unclear_rectifiers,
)
def guided_backprop(request: MapRequest) -> Map:
    """Pixels that speak for the unit along every way through the network that the image switched on."""
    return Map(signal_map(request, "guided"))
