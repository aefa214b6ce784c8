"""The picture to which the network gives the highest score of a class, found by changing it step by step.

How it misleads: the score before the softmax is raised, so the picture may show what often goes with the class rather
than the class; and it is one of many.

Simonyan, Vedaldi & Zisserman, Deep inside convolutional networks, 2014, arXiv 1312.6034; drawn as by Olah, Mordvintsev
& Schubert, Feature Visualization, 2017.
"""

from lurk.graph.plan import Plan
from lurk.method_spec import MethodSpec, Option
from lurk.methods import METHODS, PictureMethod, PictureRequest, Pictures
from lurk.methods.feature_vis.ascent_options import OPTIONS, draw
from lurk.methods.feature_vis.objectives import ClassScore, Objective
from lurk.models.model import Model

OFFER = MethodSpec(
    name="class_image",
    label="Picture of a class",
    shows="The picture to which the network gives the highest score of a class.",
    gives="picture",
    needs=("class",),
    paper="Simonyan, Vedaldi & Zisserman, Deep inside convolutional networks, 2014, arXiv 1312.6034",
    version=1,
    caution="It may show what often goes with the class rather than the class.",
    options=(
        Option(
            "direction", "maximise", "What it takes for the class, or against it.", choices=("maximise", "minimise")
        ),
        *OPTIONS,
    ),
)


def run(request: PictureRequest) -> Pictures:
    """Draw a picture for each class.

    Args:
        request: What is asked for; its units are class numbers.

    Returns:
        The pictures, those of one class one after the other.
    """

    def aim(classes: tuple[int, ...]) -> Objective:
        score = ClassScore(classes)
        return -score if request.options["direction"] == "minimise" else score

    return Pictures(draw(request, aim, _last_map(request.plan)))


def refuse(_model: Model, plan: Plan) -> str:
    """Why it cannot be had; empty where it can."""
    return "" if plan.layers else "the network has no layers"


def _last_map(plan: Plan) -> str:
    """The last layer with several positions, where several pictures of a class are to differ."""
    spatial = [layer.name for layer in plan.layers if layer.grid[0] * layer.grid[1] > 1]
    return (spatial or [layer.name for layer in plan.layers])[-1]


METHODS.register("class_image")(PictureMethod(OFFER, run, refuse))
