"""The mask of Network Dissection.

The unit's activation map (each position at the centre of its receptive field, bilinear between them) is compared,
strictly above, with the unit's own quantile over all positions of all images of the set; the paper takes 99.5 %. The
mask of an image in which the unit never exceeds it is empty. The mask shows the unit itself, whatever the target.
"""

from lurk.errors import LurkError
from lurk.method_spec import Option
from lurk.methods import Map, MapRequest, map_method
from lurk.methods.attribution.cam import unit_map
from lurk.storage.index import PROBABILITIES


@map_method(
    label="Network Dissection mask",
    paper="Bau et al., Network Dissection: Quantifying Interpretability of Deep Visual Representations, 2017, "
    "arXiv 1704.05796",
    caution="The edge of the mask is a threshold, not that of a thing; between coarse positions it is interpolated.",
    options=(
        Option(
            "quantile",
            "0.995",
            "Share of all positions of the image set at which the unit is less active than the mask demands.",
            choices=tuple(str(probability) for probability in PROBABILITIES if 0 < probability < 1),
        ),
    ),
)
def netdissect_mask(request: MapRequest) -> Map:
    """The part of the image where the unit is as active as in only a few of all places of the image set."""
    probability, target = float(request.options["quantile"]), request.target
    if request.quantiles is None or probability not in request.quantiles:
        raise LurkError(
            f"the mask needs the {probability:.1%} quantile of unit {target.unit} of layer {target.layer} over an "
            "image set: sweep one first (lurk.sweep, or python -m lurk sweep) and ask for the mask of that study"
        )
    return Map((unit_map(request) > request.quantiles[probability]).float())
