"""Which pattern of the image the unit answered to, projected back: deconvnet.

The signal goes back through the network's own filters and max-pooling switches and is rectified at every non-linearity
on its way, whatever the image did there. It misleads: without max pooling it hardly depends on the image, and it hardly
depends on the weights of the layers above. Zeiler and Fergus, 2014, arXiv 1311.2901; the check by random weights is by
Adebayo et al., 2018, arXiv 1810.03292.
"""

from lurk.graph.plan import Plan
from lurk.method_spec import MethodSpec
from lurk.methods import METHODS, Map, MapMethod, MapRequest
from lurk.methods.attribution.backsignal import sent_back, unfit
from lurk.methods.attribution.target import settled
from lurk.models.model import Model

OFFER = MethodSpec(
    name="deconvnet",
    label="Deconvnet",
    shows="The pattern in the image that the unit answered to, projected back through the network.",
    gives="map",
    needs=("layer", "unit", "image"),
    signed=True,
    paper="Zeiler, Fergus: Visualizing and Understanding Convolutional Networks, 2014, arXiv 1311.2901",
    version=1,
    caution="It draws edges that hardly depend on the trained weights (Adebayo et al., 2018, arXiv 1810.03292), and "
    "without max pooling hardly on the image: sharp does not mean true.",
)


def run(request: MapRequest) -> Map:
    """The deconvnet signal of the target; blank where the unit's value is exactly 0.

    Args:
        request: What is asked for.

    Returns:
        The map, float32 (c, h, w), signed.
    """
    target = settled(request.plan, request.target, request.image)
    values = sent_back(request.plan, target, request.image[None], "deconvnet")[0]
    request.report(1, 1)
    return Map(values)


def refuse(_model: Model, plan: Plan) -> str:
    """Why it cannot be had for a model; empty where it can."""
    return unfit(plan)


METHODS.register("deconvnet")(MapMethod(OFFER, run, refuse))
