"""The picture of a class: the score before the softmax is raised step by step.

Drawn as by Olah, Mordvintsev & Schubert, Feature Visualization, 2017.
"""

from functools import partial

from lurk.graph.plan import Plan
from lurk.methods import PictureRequest, Pictures, picture_method
from lurk.methods.feature_vis.ascent_options import ASCENT_OPTIONS, draw
from lurk.methods.feature_vis.objectives import class_score


def refuse(plan: Plan) -> str:
    """Say why a network has no picture of a class; return an empty text if it has."""
    return plan.scores.missing if plan.layers else "the network has no layers"


@picture_method(
    version=3,
    label="Picture of a class",
    paper="Simonyan, Vedaldi & Zisserman, Deep inside convolutional networks, 2014, arXiv 1312.6034",
    caution="It may show what often goes with the class rather than the class.",
    needs=("class",),
    options=ASCENT_OPTIONS,
    refuse=refuse,
)
def class_image(request: PictureRequest) -> Pictures:
    """The picture to which the network gives the highest score of a class."""
    layers = request.plan.layers
    spatial = [layer.name for layer in layers if layer.grid[0] * layer.grid[1] > 1]
    scoring = [layer.name for layer in layers if layer.class_scores]
    objective = partial(class_score, layer=scoring[-1] if scoring else "")
    return Pictures(draw(request, objective, (spatial or [layer.name for layer in layers])[-1]))
