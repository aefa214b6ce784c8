"""The activation map of a unit.

The unit's own activation, after the normalisation and activation function that follow it, is spread over the image.
Each position lies at the centre of its receptive field (Bau et al., 2017, arXiv 1704.05796). Between positions the
values are bilinear; beyond the outer positions they go on flat to the border. If the receptive field is the whole
image, the positions tile the image. The map shows the unit itself, whatever the target; but if the target is a class
and the network scores each class at positions, as a segmentation network does, it shows those scores.
"""

from lurk.methods import Map, MapRequest, map_method
from lurk.methods.attribution.cam import class_map, unit_map


@map_method(
    label="Activation map",
    paper="Zhou et al., Object Detectors Emerge in Deep Scene CNNs, 2015, arXiv 1412.6856",
    caution="A position answers for its whole receptive field, which is often far larger than the spot that is lit.",
    signed=True,
)
def activation_map(request: MapRequest) -> Map:
    """Where in the image the unit is active."""
    shown = class_map(request)
    return Map(unit_map(request) if shown is None else shown)
