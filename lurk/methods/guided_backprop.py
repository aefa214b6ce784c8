"""Which pixels made the unit active, and nothing that spoke against it: guided backpropagation.

The signal goes back as the derivative does, but at every non-linearity only what is above 0 goes on, and only where the
image let it through. It misleads: its sharp edges hardly depend on the weights of the layers above. Springenberg,
Dosovitskiy, Brox and Riedmiller, 2015, arXiv 1412.6806; the check by random weights is by Adebayo et al., 2018,
arXiv 1810.03292.
"""

from lurk.graph.plan import Plan
from lurk.method_spec import MethodSpec
from lurk.methods import METHODS, Map, MapMethod, MapRequest
from lurk.methods.attribution.backsignal import sent_back, unfit
from lurk.methods.attribution.target import settled
from lurk.models.model import Model

OFFER = MethodSpec(
    name="guided_backprop",
    label="Guided backprop",
    shows="Pixels that speak for the unit along every way through the network that the image switched on.",
    gives="map",
    needs=("layer", "unit", "image"),
    signed=True,
    paper="Springenberg, Dosovitskiy, Brox, Riedmiller: Striving for Simplicity, 2015, arXiv 1412.6806",
    version=1,
    caution="It draws edges that hardly depend on the trained weights (Adebayo et al., 2018, arXiv 1810.03292): sharp "
    "does not mean true.",
)


def run(request: MapRequest) -> Map:
    """The guided signal of the target; a unit's own upper bound, as of ReLU6, lets it through.

    Args:
        request: What is asked for.

    Returns:
        The map, float32 (c, h, w), signed.
    """
    target = settled(request.plan, request.target, request.image)
    values = sent_back(request.plan, target, request.image[None], "guided")[0]
    request.report(1, 1)
    return Map(values)


def refuse(_model: Model, plan: Plan) -> str:
    """Why it cannot be had for a model; empty where it can."""
    return unfit(plan)


METHODS.register("guided_backprop")(MapMethod(OFFER, run, refuse))
