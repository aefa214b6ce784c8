"""The part of the image where the unit is as active as in only a few of all places of the image set.

The unit's activation map (each position at the centre of its receptive field, bilinear between them) is compared,
strictly above, with the unit's own quantile over all positions of all images of the set: 99.5 % as published. An
image in which the unit never exceeds it has an empty mask. Whatever the target, it is the shown unit.

Misleads: the edge of the mask is a threshold, not the edge of a thing; it is bilinear between coarse positions.

Paper: Bau et al., 2017, arXiv 1704.05796.
"""

from lurk.errors import LurkError
from lurk.method_spec import MethodSpec, Option
from lurk.methods import METHODS, Map, MapMethod, MapRequest
from lurk.methods.attribution.cam import unit_map
from lurk.storage.index import PROBABILITIES

QUANTILE = Option(
    "quantile",
    "0.995",
    "Share of all positions of the image set at which the unit is less active than the mask demands.",
    choices=tuple(str(probability) for probability in PROBABILITIES if 0 < probability < 1),
)
OFFER = MethodSpec(
    name="netdissect_mask",
    label="Network Dissection mask",
    shows="The part of the image where the unit is as active as in only a few of all places of the image set.",
    gives="map",
    needs=("layer", "unit", "image"),
    paper="Bau et al., Network Dissection: Quantifying Interpretability of Deep Visual Representations, 2017, "
    "arXiv 1704.05796",
    version=1,
    caution="The edge of the mask is a threshold, not that of a thing; between coarse positions it is interpolated.",
    options=(QUANTILE,),
)


def run(request: MapRequest) -> Map:
    """Compare the unit's activation map with the unit's own quantile.

    Args:
        request: What is asked for.

    Returns:
        float32 (1, h, w), 1 inside the mask and 0 outside.

    Raises:
        LurkError: The unit was not swept.
    """
    probability = float(str(request.options["quantile"]))
    target = request.target
    if request.quantiles is None or probability not in request.quantiles:
        raise LurkError(
            f"the mask needs the {probability:.1%} quantile of unit {target.unit} of layer {target.layer} over an "
            "image set: sweep one first (lurk.sweep, or python -m lurk sweep) and ask for the mask of that study"
        )
    request.report(0, 1)
    values = unit_map(request.plan, target.layer, target.unit, request.image)
    request.report(1, 1)
    return Map((values > request.quantiles[probability]).float())


METHODS.register("netdissect_mask")(MapMethod(OFFER, run))
